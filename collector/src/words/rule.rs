//! What a rule saw, in one sentence.

use super::{Audience, Lang, Pair, pair};

/// What it means that the rule of this name fired, as a sentence; `None` for a name that no rule of this version has.
pub fn rule(id: &str, audience: Audience, lang: Lang) -> Option<&'static str> {
    words(id).map(|pair| pair.of(audience, lang))
}

fn words(id: &str) -> Option<Pair> {
    Some(match id {
        "disk.says_so" => pair(
            "The drive itself, or its controller, reports a failure or predicts one.",
            "硬盘或其控制器自身上报故障，或上报故障预警。",
            "The disk itself says that it is failing.",
            "硬盘自检报告异常。",
        ),
        "disk.smart_growth" => pair(
            "Bad-sector counters grow: drives with growing counters fail far more often than others.",
            "坏扇区类计数持续增长，这类硬盘的故障率明显高于正常硬盘。",
            "The disk finds more and more damaged spots on itself.",
            "硬盘上的损坏区域正在增多。",
        ),
        "disk.life_left" => pair(
            "The drive reports that little of its rated write endurance is left.",
            "硬盘上报的额定写入寿命所剩不多。",
            "The disk has been written to nearly as much as it was made for.",
            "硬盘的写入量已接近设计寿命。",
        ),
        "disk.wearout" => pair(
            "At its present usage the drive's rated write endurance will be used up before long; the finding gives the date and its interval.",
            "按目前的使用强度，硬盘的额定写入寿命不久将耗尽；告警中给出预计日期及其区间。",
            "At the present usage the disk will soon have been written to as much as it was made for; it should be replaced before then.",
            "按目前的使用强度，硬盘写入量不久将达到设计寿命，宜提前更换。",
        ),
        "disk.predicted" => pair(
            "Over days the drive's own error counters took a course that, in the drives the model learnt from, ended in failure within 30 days far more often than not to be acted on.",
            "数日来该硬盘的 SMART 错误计数变化，与模型所学样本中 30 天内失效硬盘的走势相符，失效概率已高到应当处理。",
            "The disk shows signs that, on many disks before it, were followed by a failure; it should be replaced while it still works.",
            "硬盘出现了以往多块硬盘失效前的征兆，宜在仍可用时更换。",
        ),
        "fan.state" => pair(
            "The fan stands still, turns too slowly, or the BMC calls it failed.",
            "风扇停转、转速过低，或 BMC 判定其故障。",
            "A cooling fan has stopped or turns too slowly.",
            "散热风扇停转或转速过低。",
        ),
        "fan.decay" => pair(
            "The fan turns slower than it used to at the same drive, and slower than its neighbours: its bearing is wearing out.",
            "在相同控制条件下，风扇转速低于以往水平和相邻风扇，轴承可能正在磨损。",
            "A cooling fan becomes weaker; it should be replaced before it stops.",
            "散热风扇正在老化，宜在停转前更换。",
        ),
        "psu.input_lost" => pair(
            "The power supply is in place but gets no input voltage: feed, breaker, PDU outlet or cable.",
            "电源模块在位但没有输入电压，需检查供电线路、断路器、PDU 插口和电源线。",
            "Mains power does not reach one of the server's power supplies.",
            "市电未能送达服务器的一个电源模块。",
        ),
        "psu.failed" => pair(
            "The power supply reports a failure, or gives no output although it has input.",
            "电源模块上报故障，或有输入而无输出。",
            "One of the server's power supplies has a fault.",
            "服务器的一个电源模块发生故障。",
        ),
        "redundancy.lost" => pair(
            "The BMC reports that a redundant set (power supplies or fans) has no reserve left.",
            "BMC 报告冗余组（电源或风扇）已无备用余量。",
            "A reserve part has dropped out; the server runs on what is left.",
            "一个备用部件已退出工作，服务器依靠其余部件运行。",
        ),
        "temperature.limit" => pair(
            "A temperature is over the limit that the BMC gives for this sensor.",
            "温度已超过 BMC 为该传感器设定的阈值。",
            "A part of the server is warmer than it may be.",
            "服务器内有部位的温度超过允许值。",
        ),
        "temperature.trend" => pair(
            "A temperature rises steadily, within minutes or from day to day, and will reach its limit soon if nothing changes.",
            "温度在数分钟内或逐日持续上升，按目前趋势不久将达到阈值。",
            "The server grows warmer and will be too warm soon if nothing is done.",
            "服务器温度持续上升，若不处理，不久将过热。",
        ),
        "voltage.limit" => pair(
            "A voltage is outside of the limits that the BMC gives for this sensor.",
            "电压超出 BMC 为该传感器设定的范围。",
            "The power inside the server is outside of what it may be.",
            "服务器内部供电电压超出允许范围。",
        ),
        "memory.ecc" => pair(
            "The log shows an uncorrectable memory error, or corrected ones in a burst.",
            "日志中出现不可纠正的内存错误，或短时间内集中出现可纠正错误。",
            "The server had to correct many memory errors, or could not correct one.",
            "服务器集中纠正了大量内存错误，或出现了无法纠正的内存错误。",
        ),
        "component.state" => pair(
            "The BMC reports the component in a bad state for several polls.",
            "BMC 在连续多次轮询中报告该部件状态异常。",
            "A part of the server has been reporting a problem for some time.",
            "服务器的一个部件持续报告异常。",
        ),
        "log.burst" => pair(
            "The same entry came into the BMC's log many times within a short while.",
            "同一事件在短时间内多次写入 BMC 日志。",
            "The server reported the same problem many times within a short while.",
            "服务器在短时间内多次报告同一问题。",
        ),
        "bmc.silent" => pair(
            "The agent reaches no readings of this BMC any more; what the hardware does is not known.",
            "代理已无法从该 BMC 读取数据，硬件的实际状态未知。",
            "The server's monitoring port does not answer any more.",
            "服务器的带外监控接口不再应答。",
        ),
        "agent.silent" => pair(
            "Nothing was received from this agent for longer than it should take; its servers are not watched.",
            "超过应有时间未收到该代理的任何数据，其负责的服务器目前无监控。",
            "Our monitoring of the site is interrupted.",
            "我们对该站点的监控暂时中断。",
        ),
        "fan.wear" => pair(
            "Over days the fan turns slower at equal load, or its speed jumps about, or it sticks and starts again, while its neighbours do not: a bearing that wears goes on to stop within days to weeks.",
            "数日以来，在相同负载下该风扇转速下降、转速波动或时停时转，而相邻风扇正常；轴承磨损通常在数天至数周内发展为停转。",
            "A cooling fan is wearing out; it should be replaced before it stops.",
            "散热风扇正在磨损，宜在停转前更换。",
        ),
        "psu.wear" => pair(
            "Over days the power supply wastes more, runs hotter, sags or gives less of the load than it did at equal load, while its partner does not: ageing capacitors, dust or a tired fan in it.",
            "数日以来，在相同负载下该电源模块效率下降、温度升高、输出电压降低或均流份额减少，而另一电源正常；多为电容老化、积尘或内部风扇衰退。",
            "One of the server's power supplies is ageing; it should be replaced before it fails.",
            "服务器的一个电源模块正在老化，宜在失效前更换。",
        ),
        "cooling.wear" => pair(
            "Over days the part gets hotter above the incoming air at equal power and airflow, and the rack does not: dust, dried thermal paste, a loose or blocked heat sink.",
            "数日以来，在相同功耗和风量下该部件相对进风的温升增大，而同机柜其他服务器没有；多为积尘、导热硅脂干涸或散热器松动、堵塞。",
            "A part of the server is cooled less well than it used to be; it should be cleaned or serviced.",
            "服务器内有部件的散热效果变差，宜安排清洁或维护。",
        ),
        "memory.wear" => pair(
            "The module had corrected errors on several days within two weeks, more than bursts explain: modules with errors that come again go on to uncorrectable ones far more often than others.",
            "该内存条在两周内有多日出现可纠正错误，并非单次突发；反复出错的内存条发展为不可纠正错误的比例远高于其他。",
            "A memory module had to correct errors again and again; it should be replaced in good time.",
            "一条内存反复出现可纠正错误，宜择机更换。",
        ),
        "collector.clock" => pair(
            "The collector compared its own time with the wall clock: they lie apart, and no time source says which is right.",
            "采集器自身时间与系统时钟不一致，且没有可信时间源可判定。",
            "The clock of our monitoring system is being checked.",
            "我们正在核对监控系统的时钟。",
        ),
        "collector.disk" => pair(
            "The collector watches the free space of the disk that holds its store.",
            "采集器监测存储所在磁盘的剩余空间。",
            "Our monitoring system is running short of storage.",
            "我们的监控系统存储空间不足。",
        ),
        "collector.store" => pair(
            "The collector checks the whole file of its store at each start; what it found does not belong there.",
            "采集器每次启动时校验整个存储文件，发现内容异常。",
            "Our monitoring system found a fault in its own storage.",
            "我们的监控系统发现自身存储异常。",
        ),
        "collector.notices" => pair(
            "Notices of this channel have waited for more than a quarter of an hour.",
            "该通道的通知已超过一刻钟未能送达。",
            "Messages of our monitoring system may come late.",
            "监控系统的消息可能延迟送达。",
        ),
        "agent.unreadable" => pair(
            "Bodies that an agent sent within the last day could not be understood, or were spoilt on the collector's disk, and are kept apart.",
            "代理最近一天内上报的部分数据无法解析，或在采集器磁盘上损坏，已被隔离。",
            "Our monitoring system could not read a part of what it was sent.",
            "我们的监控系统无法读取部分上报数据。",
        ),
        "drill.synthetic" => pair(
            "An exercise: the fault is not there. The collector says it so that people can be tried.",
            "演练：故障并不存在，由采集器模拟以检验值班响应。",
            "An exercise: nothing is wrong with the server.",
            "演练：服务器没有任何故障。",
        ),
        _ => return None,
    })
}
