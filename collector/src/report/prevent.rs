//! What keeps a fault from coming again, where nobody has written it on the ticket.

use crate::words::Lang;
use outband_health::Fault;

/// What to do so that a fault does not come again, in a sentence or two.
pub fn prevent(fault: Fault, lang: Lang) -> &'static str {
    let (en, zh) = texts(fault);
    match lang {
        Lang::En => en,
        Lang::ZhCn => zh,
    }
}

fn texts(fault: Fault) -> (&'static str, &'static str) {
    match fault {
        Fault::DiskFailure => (
            "Check the other drives of the same model, firmware and batch; keep a hot spare in the array, and a spare drive on site.",
            "排查同型号、同固件、同批次的其他硬盘；为阵列配置热备盘，并在现场备件。",
        ),
        Fault::DiskWear => (
            "Compare what is written each day with the drive's endurance class; choose a higher class, or move what writes most.",
            "将每日写入量与硬盘耐久等级对比，选用更高等级的硬盘或迁移写入量大的业务。",
        ),
        Fault::FanFailure => (
            "Clean filters and airflow on a schedule; replace fans of the same age at the next visit.",
            "定期清洁滤网和风道；下次到场时更换同龄风扇。",
        ),
        Fault::PsuFailure => (
            "Check input quality and load balance of the supplies; look for a recall or firmware of this supply's model.",
            "检查输入电源质量与各电源负载均衡；关注该型号电源的召回与固件通告。",
        ),
        Fault::PowerInputLost => (
            "Feed the two supplies from separate circuits; label and lock the cables; test the change-over once a year.",
            "两个电源模块接入不同回路，线缆加标签和锁扣，每年进行一次切换演练。",
        ),
        Fault::RedundancyLost => (
            "Treat the loss of reserve as a fault of its own with a deadline; keep the part that failed as a spare.",
            "将冗余丢失作为独立故障限期处理，并储备相应备件。",
        ),
        Fault::Overheating => (
            "Close gaps with blanking panels, separate hot and cold aisles, and watch the inlet temperature of the rack.",
            "安装盲板，隔离冷热通道，持续监测机柜进风温度。",
        ),
        Fault::VoltageOutOfRange => (
            "Check the supplies and the board of servers of the same age; look for a firmware that corrects the sensor.",
            "排查同龄服务器的电源与主板；关注修正传感器的固件。",
        ),
        Fault::MemoryErrors => (
            "Run a memory test after the exchange; keep firmware with post-package repair current; check modules of the same batch.",
            "更换后进行内存测试；保持支持封装后修复（PPR）的固件为最新；排查同批次内存。",
        ),
        Fault::ProcessorErrors => (
            "Keep microcode and BIOS current; check cooling and mounting torque at the exchange.",
            "保持微码与 BIOS 为最新；更换时检查散热和安装力矩。",
        ),
        Fault::BusErrors => (
            "Reseat risers and cards at the next visit; keep card firmware and BIOS at a tested pair of versions.",
            "下次到场时重新插拔转接卡与板卡；板卡固件与 BIOS 使用经验证的版本组合。",
        ),
        Fault::ComponentFailure => {
            ("Check the same component in servers of the same model and age.", "排查同型号、同龄服务器的同类部件。")
        }
        Fault::EventBurst => (
            "Find the cause of the entries, not their number; archive and clear the log after the repair.",
            "定位事件的根本原因，修复后归档并清空日志。",
        ),
        Fault::BmcSilent => (
            "Keep BMC firmware current; limit sessions; watch the management switch port.",
            "保持 BMC 固件为最新，限制并发会话，监控带外交换机端口。",
        ),
        Fault::AgentSilent | Fault::AgentBlind => (
            "Watch the agent's machine and the management network from a second place; keep a second path.",
            "从另一处监控代理主机与带外网络，保留第二条链路。",
        ),
        Fault::PowerFeedLost => (
            "Review the feed's breaker, PDU and UPS with the house; test the change-over once a year.",
            "与机房复核该回路的断路器、PDU 与 UPS，每年进行一次切换演练。",
        ),
        Fault::CoolingLost => (
            "Review the zone's cooling reserve with the house; agree on whom to call, and on what is shed first.",
            "与机房复核该区域制冷冗余，约定联系人与优先降载的业务。",
        ),
        Fault::FeedSilent => (
            "Feed the management switch twice; review with the house what hangs on this feed alone.",
            "带外交换机采用双路供电，与机房复核仅由该回路供电的设备。",
        ),
        Fault::RackSilent => {
            ("Feed the rack's management switch twice; watch its uplink.", "机柜带外交换机采用双路供电，并监控其上联。")
        }
        Fault::FirmwareWave => (
            "Roll firmware out in steps, with a pause after the first servers; keep the way back at hand.",
            "固件分批升级，首批后观察一段时间，并保留回退方案。",
        ),
        Fault::StoreNearlyFull => (
            "Watch how the store grows, and shorten what is kept or add disk in good time.",
            "关注存储增长趋势，及时缩短保留期或扩容磁盘。",
        ),
        Fault::StoreDamaged => (
            "Use memory with ECC and disks that are watched for the collector, and back it up every day.",
            "采集器主机使用 ECC 内存与受监控的磁盘，并每日备份。",
        ),
        Fault::NoticesStuck => (
            "Keep a second channel for each recipient, and send a test notice once a week.",
            "为每个接收人配置备用渠道，每周发送一次测试通知。",
        ),
        Fault::AgentUnreadable => (
            "Upgrade the collector before its agents, and keep its store on a disk and in memory that are watched.",
            "先升级采集器再升级代理，并监控存储所用的磁盘与内存。",
        ),
        Fault::ClockStepped => (
            "Use several trusted time sources, and watch the collector's offset.",
            "使用多个可信时间源，并监控采集器的时间偏差。",
        ),
    }
}
