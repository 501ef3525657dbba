//! What is wrong, in one phrase.

use super::{Audience, Lang, Pair, pair};
use outband_health::Fault;

/// What is wrong, in one phrase without a full stop.
pub fn fault(fault: Fault, audience: Audience, lang: Lang) -> &'static str {
    words(fault).of(audience, lang)
}

fn words(fault: Fault) -> Pair {
    match fault {
        Fault::DiskFailure => pair(
            "Disk failing or failed",
            "硬盘故障或即将故障",
            "a disk cannot keep up or is about to fail; pages and files may open slowly",
            "有一块硬盘性能下降或即将损坏，打开网页和文件可能变慢",
        ),
        Fault::DiskWear => pair(
            "Disk endurance nearly used up",
            "硬盘写入寿命即将耗尽",
            "a disk is reaching the end of its service life and should be replaced in good time",
            "有一块硬盘接近使用寿命终点，建议尽早安排更换",
        ),
        Fault::FanFailure => pair(
            "Fan failing or failed",
            "风扇故障或即将故障",
            "a cooling fan is weak or has stopped; the server may slow down to protect itself from heat",
            "有一个散热风扇转速异常或已停转，服务器可能为避免过热而降速",
        ),
        Fault::PsuFailure => pair(
            "Power supply failing or failed",
            "电源模块故障或即将故障",
            "one of the server's power supplies does not work properly; the server keeps running only as long as the others do",
            "服务器的一个电源模块工作异常，目前依靠其余电源模块维持运行",
        ),
        Fault::PowerInputLost => pair(
            "Power supply has no input",
            "电源模块失去外部供电输入",
            "one of the server's mains feeds is off",
            "服务器的一路市电供电中断",
        ),
        Fault::RedundancyLost => pair(
            "Redundancy lost",
            "冗余失效",
            "the server runs, but without reserve: another fault would stop it",
            "服务器仍在运行，但已没有备用余量，再出现一处故障就可能停机",
        ),
        Fault::Overheating => pair(
            "Temperature over its limit, or soon to be",
            "温度超限或即将超限",
            "the server is too warm; it may become slow, or switch itself off to protect itself",
            "服务器温度偏高，可能变慢，也可能为自我保护而关机",
        ),
        Fault::VoltageOutOfRange => pair(
            "Voltage out of range",
            "电压超出允许范围",
            "the power inside the server is not steady; it may restart unexpectedly",
            "服务器内部供电不稳定，有意外重启的风险",
        ),
        Fault::MemoryErrors => pair(
            "Memory errors",
            "内存错误",
            "a memory module makes errors; programs may stop or the server may restart unexpectedly",
            "有一条内存出现错误，程序可能异常退出，服务器可能意外重启",
        ),
        Fault::ProcessorErrors => pair(
            "Processor errors",
            "处理器错误",
            "a processor reports internal errors; the server may stop or restart unexpectedly",
            "处理器报告内部错误，服务器可能意外停机或重启",
        ),
        Fault::BusErrors => pair(
            "PCIe or bus errors",
            "PCIe 或总线错误",
            "a connection inside the server makes errors; network or storage may become slow or be interrupted",
            "服务器内部连接出现错误，网络或存储可能变慢或中断",
        ),
        Fault::ComponentFailure => pair(
            "Component reports that it is not well",
            "部件报告异常状态",
            "a part of the server reports a problem",
            "服务器的一个部件报告异常",
        ),
        Fault::EventBurst => pair(
            "The same log entry again and again",
            "同一日志事件反复出现",
            "the server reports the same problem again and again; we are finding out what is behind it",
            "服务器反复报告同一问题，我们正在查找原因",
        ),
        Fault::BmcSilent => pair(
            "BMC gives no readings",
            "BMC 未返回监测数据",
            "the server's monitoring port does not answer; the server itself may be running normally",
            "服务器的带外监控接口没有应答，服务器本身可能运行正常",
        ),
        Fault::AgentSilent => pair(
            "Agent is not heard",
            "采集代理失联",
            "we do not receive monitoring data from the site at present; the servers there may be running normally",
            "目前收不到该站点的监控数据，站点内的服务器可能运行正常",
        ),
        Fault::PowerFeedLost => pair(
            "Power feed lost",
            "供电回路断电",
            "one of the mains feeds of your servers' racks is off; servers with a second feed keep running",
            "您的服务器所在机柜有一路市电中断，双路供电的服务器仍可继续运行",
        ),
        Fault::CoolingLost => pair(
            "Cooling zone too hot",
            "制冷区域温度过高",
            "the room around your servers is too warm; they may slow down or stop to protect themselves",
            "您的服务器所在区域环境温度过高，服务器可能降速或自动关机保护",
        ),
        Fault::RackSilent => pair(
            "Rack does not answer",
            "整机柜失联",
            "we receive no monitoring data from a whole rack; the servers there may be off",
            "目前收不到整个机柜的监控数据，其中的服务器可能已断电",
        ),
        Fault::FeedSilent => pair(
            "BMCs of one power feed do not answer",
            "同一供电回路的多台 BMC 无应答",
            "the monitoring ports of several of your servers do not answer us together; the servers themselves may be running normally",
            "您的多台服务器的带外监控接口同时没有应答，服务器本身可能运行正常",
        ),
        Fault::AgentBlind => pair(
            "Agent reaches its BMCs no more",
            "采集代理无法访问带外管理网络",
            "we do not receive monitoring data from the site at present; the servers there may be running normally",
            "目前收不到该站点的监控数据，站点内的服务器可能运行正常",
        ),
        Fault::FirmwareWave => pair(
            "Trouble after a BMC firmware update",
            "带外固件升级后批量异常",
            "after an update of the management firmware several servers report the same fault; they may be running normally",
            "管理固件升级后，多台服务器报告了相同的异常，服务器本身可能运行正常",
        ),
        Fault::ClockStepped => pair(
            "The collector's clock stepped",
            "采集器系统时间跳变",
            "the clock of our monitoring system is being checked; your servers are not affected",
            "我们正在核对监控系统的时钟，您的服务器不受影响",
        ),
        Fault::StoreNearlyFull => pair(
            "The collector's disk is nearly full",
            "采集器磁盘空间即将用尽",
            "our monitoring system is running short of storage; your servers are not affected",
            "我们的监控系统存储空间不足，您的服务器不受影响",
        ),
        Fault::StoreDamaged => pair(
            "The collector's store is damaged",
            "采集器存储文件已损坏",
            "our monitoring system is being repaired; your servers are not affected",
            "我们正在修复监控系统，您的服务器不受影响",
        ),
        Fault::NoticesStuck => pair(
            "Notices are not delivered",
            "通知无法送达",
            "messages from our monitoring system may reach you late; your servers are not affected",
            "监控系统的消息可能延迟送达，您的服务器不受影响",
        ),
        Fault::AgentUnreadable => pair(
            "What an agent sends is not understood",
            "代理上报的数据无法解析",
            "a part of what our monitoring system reads is missing; your servers are not affected",
            "我们的监控系统缺失部分数据，您的服务器不受影响",
        ),
    }
}
