//! What is wrong, in two or three words: for the first line of a notice, which has to fit on a phone.

use super::{Audience, Lang, Pair, pair};
use outband_health::Fault;

/// What is wrong, in at most 24 characters.
pub fn brief(fault: Fault, audience: Audience, lang: Lang) -> &'static str {
    words(fault).of(audience, lang)
}

fn words(fault: Fault) -> Pair {
    match fault {
        Fault::DiskFailure => pair("disk failing", "硬盘故障", "disk failing", "硬盘异常"),
        Fault::DiskWear => pair("disk endurance low", "硬盘寿命将尽", "disk to be replaced", "硬盘需择期更换"),
        Fault::FanFailure => pair("fan failing", "风扇故障", "cooling fan weak", "散热风扇异常"),
        Fault::PsuFailure => pair("power supply failing", "电源模块故障", "power supply failing", "电源模块异常"),
        Fault::PowerInputLost => pair("power input lost", "电源失去输入", "mains feed off", "一路市电中断"),
        Fault::RedundancyLost => pair("redundancy lost", "冗余失效", "running without reserve", "已无备用余量"),
        Fault::Overheating => pair("overheating", "温度超限", "server too warm", "服务器温度偏高"),
        Fault::VoltageOutOfRange => pair("voltage out of range", "电压异常", "power not steady", "内部供电不稳"),
        Fault::MemoryErrors => pair("memory errors", "内存错误", "memory errors", "内存错误"),
        Fault::ProcessorErrors => pair("processor errors", "处理器错误", "processor errors", "处理器错误"),
        Fault::BusErrors => pair("PCIe or bus errors", "总线错误", "connection errors", "内部连接异常"),
        Fault::ComponentFailure => pair("component not well", "部件状态异常", "part reports a problem", "部件报告异常"),
        Fault::EventBurst => pair("same log entry repeats", "日志事件反复", "repeated report", "问题反复上报"),
        Fault::BmcSilent => pair("BMC silent", "BMC 无应答", "monitoring port silent", "监控接口无应答"),
        Fault::AgentSilent => pair("agent silent", "代理失联", "site not monitored", "站点监控中断"),
        Fault::PowerFeedLost => pair("power feed lost", "供电回路中断", "power feed off", "一路供电中断"),
        Fault::CoolingLost => pair("cooling lost", "制冷失效", "cooling fails", "机房制冷异常"),
        Fault::RackSilent => pair("rack silent", "整机柜失联", "rack not monitored", "机柜监控中断"),
        Fault::FeedSilent => pair("BMCs of a feed silent", "同回路 BMC 无应答", "ports not monitored", "多台监控中断"),
        Fault::AgentBlind => pair("agent reaches no BMC", "代理无法访问 BMC", "site not monitored", "站点监控中断"),
        Fault::FirmwareWave => pair("faults after firmware", "固件升级后异常", "after-update problem", "升级后异常"),
        Fault::ClockStepped => pair("collector's clock off", "采集器时钟偏差", "clock being checked", "时钟核对中"),
        Fault::StoreNearlyFull => {
            pair("collector disk full soon", "采集器磁盘将满", "monitoring storage", "监控存储不足")
        }
        Fault::StoreDamaged => pair("collector store damaged", "采集器存储损坏", "monitoring storage", "监控存储异常"),
        Fault::NoticesStuck => pair("notices not delivered", "通知无法送达", "messages late", "消息延迟"),
        Fault::AgentUnreadable => {
            pair("agent not understood", "代理数据无法解析", "site monitored in part", "站点监控不完整")
        }
    }
}
