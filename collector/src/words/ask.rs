//! What to ask somebody who stands in front of the server, or uses it, and how they can answer.

use super::{Lang, Text};
use outband_health::Fault;

/// What a question is about: what is stored may answer it, or else somebody has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// The last change before it began.
    LastChange,
    /// All the time, or now and then.
    Course,
    /// What people cannot do.
    Impact,
    /// The LED of the drive.
    DriveLed,
    /// Heavy work of the drives.
    HeavyLoad,
    /// The last backup.
    Backup,
    /// Loud fans.
    Noise,
    /// What blocks the air.
    AirInlet,
    /// The LEDs of the power supplies.
    SupplyLeds,
    /// Others on the same power.
    SameStrip,
    /// Work on the power.
    PowerWork,
    /// The air in the room.
    RoomTemperature,
    /// The servers beside it.
    Neighbours,
    /// The LED at the front.
    HealthLed,
    /// A screen that says why it stopped.
    Crash,
    /// New parts or firmware.
    PartChange,
    /// Whether the server does its work.
    Service,
    /// The LED of the management port.
    LinkLed,
    /// Addresses, passwords, certificates.
    Access,
}

/// A question and what it is about.
#[derive(Debug, Clone, Copy)]
struct Ask {
    topic: Topic,
    text: Text,
}

const fn ask(topic: Topic, text: Text) -> Ask {
    Ask { topic, text }
}

fn asked(fault: Fault) -> impl Iterator<Item = &'static Ask> {
    of(fault).iter().chain(ALWAYS)
}

/// The same questions, each with what it is about.
pub fn questions_about(fault: Fault, lang: Lang) -> Vec<(Topic, &'static str)> {
    asked(fault).map(|ask| (ask.topic, ask.text.of(lang))).collect()
}

/// How somebody can find the answer.
pub fn how(topic: Topic, lang: Lang) -> &'static str {
    let text = match topic {
        Topic::LastChange => Text::new(
            "Ask whoever looks after the system: the BMC does not see patches, settings and software.",
            "请询问系统管理员：补丁、配置和软件变更带外不可见。",
        ),
        Topic::Course => Text::new("Ask whoever noticed it first.", "请询问最先发现故障的人。"),
        Topic::Impact => Text::new(
            "Ask the customer; keep it on the ticket as a comment that begins with `impact:`.",
            "请询问客户；在工单备注中以“影响：”开头记录。",
        ),
        Topic::DriveLed => Text::new(
            "Somebody in front of the rack looks at the bay named above; amber or blinking fast means a fault.",
            "请现场人员查看上述槽位：琥珀色或快闪表示故障。",
        ),
        Topic::HeavyLoad => Text::new("Ask for the times of backups and large jobs.", "请询问备份和大任务的执行时间。"),
        Topic::Backup => Text::new("Ask for the log of the backup software.", "请查看备份软件日志。"),
        Topic::Noise => Text::new(
            "Somebody in front of the rack listens, and compares with the next server.",
            "请现场人员听声并与相邻服务器比较。",
        ),
        Topic::AirInlet => Text::new(
            "Somebody looks at the front of the server and at its filter.",
            "请现场人员查看服务器正面进风口和滤网。",
        ),
        Topic::SupplyLeds => Text::new(
            "Somebody behind the rack looks: green is well, amber a fault, dark no input.",
            "请现场人员查看机箱背面：绿色正常，琥珀色故障，不亮为无输入。",
        ),
        Topic::SameStrip => Text::new(
            "Somebody follows the power cord to its strip and looks at the others on it.",
            "请沿电源线找到 PDU，查看其上其他设备。",
        ),
        Topic::PowerWork => {
            Text::new("Ask the building's services; look at the UPS.", "请询问机房动力部门，并查看 UPS。")
        }
        Topic::RoomTemperature => {
            Text::new("Read the thermometer of the room or of the air conditioning.", "请查看机房温度计或空调面板。")
        }
        Topic::Neighbours => Text::new("Look at the servers above and below.", "请查看上下相邻的服务器。"),
        Topic::HealthLed => Text::new(
            "Somebody looks at the front panel, and reads out the display.",
            "请现场人员查看前面板并读出诊断屏内容。",
        ),
        Topic::Crash => Text::new(
            "What is on the screen is not to be had from here: somebody takes a photo of it, and the system's own logs.",
            "屏幕内容无法带外获取：请现场拍照，并导出系统日志。",
        ),
        Topic::PartChange => Text::new("Ask for the change log of the site.", "请查看现场变更记录。"),
        Topic::Service => Text::new("Ask its users, or open what runs on it.", "请询问用户，或直接访问其业务。"),
        Topic::LinkLed => Text::new(
            "Somebody looks at the management port, at both ends of the cable.",
            "请现场人员查看管理网口网线两端。",
        ),
        Topic::Access => {
            Text::new("Ask whoever looks after the network and the passwords.", "请询问网络和密码管理人员。")
        }
    };
    text.of(lang)
}

/// Questions to ask, most telling first, each with the way to find the answer.
pub fn questions(fault: Fault, lang: Lang) -> Vec<&'static str> {
    asked(fault).map(|ask| ask.text.of(lang)).collect()
}

/// Asked whatever the fault is.
const ALWAYS: &[Ask] = &[
    ask(
        Topic::LastChange,
        Text::new(
            "What was changed last before it began (patch, new part, restart, moving)? And when?",
            "故障出现前最近一次变更是什么（补丁、扩容、重启、搬移）？何时进行？",
        ),
    ),
    ask(
        Topic::Course,
        Text::new(
            "Is it there all the time, or does it come and go? Since when?",
            "故障是持续存在还是时有时无？从什么时候开始？",
        ),
    ),
    ask(
        Topic::Impact,
        Text::new(
            "What can people not do because of it, and how many are affected?",
            "故障影响了哪些业务？涉及多少用户？",
        ),
    ),
];

const DISK: &[Ask] = &[
    ask(
        Topic::DriveLed,
        Text::new("Which colour is the LED of the drive, and does it blink?", "硬盘指示灯是什么颜色？是否闪烁？"),
    ),
    ask(
        Topic::HeavyLoad,
        Text::new(
            "Was a large file being copied, or a backup running, when it became slow?",
            "变慢时是否正在复制大文件或执行备份？",
        ),
    ),
    ask(
        Topic::Backup,
        Text::new("When was the last backup that was proven to restore?", "最近一次验证过可恢复的备份是什么时间？"),
    ),
];
const FAN: &[Ask] = &[
    ask(
        Topic::Noise,
        Text::new(
            "Is the server louder than usual, or is there a grinding sound?",
            "服务器噪声是否变大？有无摩擦异响？",
        ),
    ),
    ask(
        Topic::AirInlet,
        Text::new("Is anything in front of the air inlet, and is there dust on it?", "进风口前有无遮挡？是否积尘？"),
    ),
];
const POWER: &[Ask] = &[
    ask(
        Topic::SupplyLeds,
        Text::new(
            "Which colour are the LEDs on the back of each power supply?",
            "机箱背面每个电源模块的指示灯分别是什么颜色？",
        ),
    ),
    ask(
        Topic::SameStrip,
        Text::new("Do other devices on the same outlet strip run?", "同一 PDU 上的其他设备是否正常供电？"),
    ),
    ask(
        Topic::PowerWork,
        Text::new(
            "Was there electrical work, a tripped breaker or a UPS alarm?",
            "是否有电力施工、断路器跳闸或 UPS 告警？",
        ),
    ),
];
const HEAT: &[Ask] = &[
    ask(
        Topic::RoomTemperature,
        Text::new(
            "How warm is it in the room, and does the air conditioning run?",
            "机房现在多少度？空调是否正常运行？",
        ),
    ),
    ask(
        Topic::Neighbours,
        Text::new("Are neighbouring servers in the rack warm as well?", "同机柜相邻的服务器是否也偏热？"),
    ),
    ask(
        Topic::AirInlet,
        Text::new("Is anything in front of the air inlet, and is there dust on it?", "进风口前有无遮挡？是否积尘？"),
    ),
];
const BOARD: &[Ask] = &[
    ask(
        Topic::HealthLed,
        Text::new(
            "Which colour is the health LED on the front panel, and does the display show a code?",
            "前面板健康指示灯是什么颜色？诊断屏有无故障代码？",
        ),
    ),
    ask(
        Topic::Crash,
        Text::new(
            "Did the system stop with a blue screen or a kernel panic? A photo of it helps.",
            "系统是否出现过蓝屏或内核崩溃？如有，请提供照片。",
        ),
    ),
    ask(
        Topic::PartChange,
        Text::new("Was memory, a card or firmware changed recently?", "近期是否更换过内存、板卡或升级过固件？"),
    ),
];
const SILENCE: &[Ask] = &[
    ask(Topic::Service, Text::new("Does the server itself answer its users?", "服务器本身的业务是否正常？")),
    ask(
        Topic::LinkLed,
        Text::new(
            "Does the link LED of the management port shine, on the server and on the switch?",
            "管理网口在服务器侧和交换机侧的链路灯是否亮起？",
        ),
    ),
    ask(
        Topic::Access,
        Text::new(
            "Was an address, a password, a certificate or a firewall rule changed?",
            "是否修改过地址、密码、证书或防火墙规则？",
        ),
    ),
];

fn of(fault: Fault) -> &'static [Ask] {
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
        Fault::BmcSilent | Fault::AgentSilent | Fault::RackSilent | Fault::FeedSilent | Fault::AgentBlind => SILENCE,
        Fault::ClockStepped
        | Fault::StoreNearlyFull
        | Fault::StoreDamaged
        | Fault::NoticesStuck
        | Fault::AgentUnreadable => &[],
    }
}
