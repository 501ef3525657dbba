//! What to ask somebody who stands in front of the server, or uses it, and how they can answer.

use super::{Lang, Text};
use outband_health::Fault;

/// Questions to ask, most telling first, each with the way to find the answer.
pub fn questions(fault: Fault, lang: Lang) -> Vec<&'static str> {
    of(fault).iter().chain(ALWAYS).map(|text| text.of(lang)).collect()
}

/// Asked whatever the fault is.
const ALWAYS: &[Text] = &[
    Text::new(
        "What was changed last before it began (patch, new part, restart, moving)? And when?",
        "故障出现前最近一次变更是什么（补丁、扩容、重启、搬移）？何时进行？",
    ),
    Text::new(
        "Is it there all the time, or does it come and go? Since when?",
        "故障是持续存在还是时有时无？从什么时候开始？",
    ),
    Text::new("What can people not do because of it, and how many are affected?", "故障影响了哪些业务？涉及多少用户？"),
];

const DISK: &[Text] = &[
    Text::new("Which colour is the LED of the drive, and does it blink?", "硬盘指示灯是什么颜色？是否闪烁？"),
    Text::new(
        "Was a large file being copied, or a backup running, when it became slow?",
        "变慢时是否正在复制大文件或执行备份？",
    ),
    Text::new("When was the last backup that was proven to restore?", "最近一次验证过可恢复的备份是什么时间？"),
];
const FAN: &[Text] = &[
    Text::new("Is the server louder than usual, or is there a grinding sound?", "服务器噪声是否变大？有无摩擦异响？"),
    Text::new("Is anything in front of the air inlet, and is there dust on it?", "进风口前有无遮挡？是否积尘？"),
];
const POWER: &[Text] = &[
    Text::new(
        "Which colour are the LEDs on the back of each power supply?",
        "机箱背面每个电源模块的指示灯分别是什么颜色？",
    ),
    Text::new("Do other devices on the same outlet strip run?", "同一 PDU 上的其他设备是否正常供电？"),
    Text::new(
        "Was there electrical work, a tripped breaker or a UPS alarm?",
        "是否有电力施工、断路器跳闸或 UPS 告警？",
    ),
];
const HEAT: &[Text] = &[
    Text::new("How warm is it in the room, and does the air conditioning run?", "机房现在多少度？空调是否正常运行？"),
    Text::new("Are neighbouring servers in the rack warm as well?", "同机柜相邻的服务器是否也偏热？"),
    Text::new("Is anything in front of the air inlet, and is there dust on it?", "进风口前有无遮挡？是否积尘？"),
];
const BOARD: &[Text] = &[
    Text::new(
        "Which colour is the health LED on the front panel, and does the display show a code?",
        "前面板健康指示灯是什么颜色？诊断屏有无故障代码？",
    ),
    Text::new(
        "Did the system stop with a blue screen or a kernel panic? A photo of it helps.",
        "系统是否出现过蓝屏或内核崩溃？如有，请提供照片。",
    ),
    Text::new("Was memory, a card or firmware changed recently?", "近期是否更换过内存、板卡或升级过固件？"),
];
const SILENCE: &[Text] = &[
    Text::new("Does the server itself answer its users?", "服务器本身的业务是否正常？"),
    Text::new(
        "Does the link LED of the management port shine, on the server and on the switch?",
        "管理网口在服务器侧和交换机侧的链路灯是否亮起？",
    ),
    Text::new(
        "Was an address, a password, a certificate or a firewall rule changed?",
        "是否修改过地址、密码、证书或防火墙规则？",
    ),
];

fn of(fault: Fault) -> &'static [Text] {
    match fault {
        Fault::DiskFailure | Fault::DiskWear => DISK,
        Fault::FanFailure => FAN,
        Fault::PsuFailure | Fault::PowerInputLost | Fault::RedundancyLost | Fault::PowerFeedLost => POWER,
        Fault::Overheating | Fault::CoolingLost => HEAT,
        Fault::VoltageOutOfRange
        | Fault::MemoryErrors
        | Fault::ProcessorErrors
        | Fault::BusErrors
        | Fault::ComponentFailure
        | Fault::EventBurst => BOARD,
        Fault::FirmwareWave => BOARD,
        Fault::BmcSilent | Fault::AgentSilent | Fault::RackSilent | Fault::AgentBlind => SILENCE,
        Fault::ClockStepped => &[],
    }
}
