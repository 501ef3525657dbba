//! What to do next.

use super::{Audience, Lang, Pair, pair};
use outband_health::Fault;

/// What to do next, in one or two sentences. For a customer: what they may notice, do and expect.
pub fn advice(fault: Fault, audience: Audience, lang: Lang) -> &'static str {
    words(fault).of(audience, lang)
}

fn words(fault: Fault) -> Pair {
    match fault {
        Fault::DiskFailure => pair(
            "Check that the array is redundant and a backup exists, light the drive's LED, replace it with the same model or larger, watch the rebuild.",
            "确认阵列有冗余、数据已备份；点亮定位灯后更换同型号或更大容量的硬盘，并跟踪重建过程。",
            "Please make sure that your latest backup is complete. We arrange the replacement; it usually needs no shutdown.",
            "请确认最近一次备份完整可用。我们将安排更换，通常无需停机。",
        ),
        Fault::DiskWear => pair(
            "Order a replacement and change the drive in a planned window, before it turns read-only.",
            "提前备件，在计划窗口内更换，避免硬盘进入只读状态。",
            "There is no need to hurry; please agree on a date for the replacement with us.",
            "目前无需紧急处理，请与我们约定更换时间。",
        ),
        Fault::FanFailure => pair(
            "Look for dust and blocked airflow; replace the fan (hot-swappable in most chassis), then check that its speed is back.",
            "检查积尘和风道堵塞，更换风扇（多数机型支持热插拔），更换后确认转速恢复。",
            "You need to do nothing. If the server becomes slow, please tell us.",
            "您无需操作。如感觉服务器变慢，请告知我们。",
        ),
        Fault::PsuFailure => pair(
            "Check that the other supply carries the load; replace the module by one of the same power and part number.",
            "确认其余电源能承担全部负载，用同功率、同部件号的模块更换。",
            "You need to do nothing; please avoid switching the server off and on until the part is replaced.",
            "您无需操作；更换完成前请避免关机或重启服务器。",
        ),
        Fault::PowerInputLost => pair(
            "Check breaker, PDU outlet, cable and UPS of this feed; do not replace the module before input is proven.",
            "检查该路断路器、PDU 插口、电源线和 UPS；确认输入正常之前不要更换模块。",
            "If there is work on the electricity on your premises, please tell us.",
            "如您的场地正在进行电力施工，请告知我们。",
        ),
        Fault::RedundancyLost => pair(
            "Find the member that dropped out and put it right first; plan no work on the remaining ones.",
            "查明退出的冗余成员并优先恢复，期间不要对其余成员进行操作。",
            "You need to do nothing. Please put off larger changes on this server until we report that the reserve is back.",
            "您无需操作。在我们通知恢复冗余之前，请暂缓对该服务器进行重大变更。",
        ),
        Fault::Overheating => pair(
            "Check room temperature, air conditioning and neighbours in the rack; then fans, air baffles, blanking panels and dust.",
            "检查机房温度、空调及同机柜设备，再检查风扇、导风罩、挡板和积尘。",
            "If the server stands with you, please check that the air conditioning runs and nothing blocks its front or back.",
            "如服务器在您处，请确认空调正常运行，且服务器前后通风无遮挡。",
        ),
        Fault::VoltageOutOfRange => pair(
            "Compare with the other rails and the power supplies; reseat or replace the supply, then suspect the board.",
            "对比其他电压轨及电源模块读数，重新插拔或更换电源，其次考虑主板故障。",
            "Please save your work on this server and make sure that your latest backup is complete.",
            "请及时保存该服务器上的工作，并确认最近一次备份完整可用。",
        ),
        Fault::MemoryErrors => pair(
            "Note slot and serial, plan a window, reseat or replace the module, check that the counters stay quiet.",
            "记录插槽和序列号，安排窗口重新插拔或更换内存，随后确认错误计数不再增长。",
            "Please make sure that your latest backup is complete. The replacement needs a short shutdown, which we agree on with you.",
            "请确认最近一次备份完整可用。更换需要短暂停机，具体时间将与您商定。",
        ),
        Fault::ProcessorErrors => pair(
            "Collect the log and the crash dump; check BIOS and microcode; swap processors to see whether the error follows the part.",
            "收集日志和崩溃转储，核对 BIOS 与微码版本，通过交换处理器判断故障是否随部件转移。",
            "Please make sure that your latest backup is complete; a short shutdown will be needed, which we agree on with you.",
            "请确认最近一次备份完整可用；处理需要短暂停机，具体时间将与您商定。",
        ),
        Fault::BusErrors => pair(
            "Find the device by its bus address; reseat card and riser, check firmware, then replace the card.",
            "按总线地址定位设备，重新插拔板卡与转接卡，核对固件，必要时更换板卡。",
            "If network or storage are slow or interrupted, please tell us since when.",
            "如网络或存储变慢或中断，请告知我们开始时间。",
        ),
        Fault::ComponentFailure => pair(
            "Read the BMC's log for this component, reseat it, and replace it where the state stays.",
            "查看 BMC 日志中该部件的记录，重新插拔；若状态不恢复则更换。",
            "You need to do nothing at present; we tell you as soon as we know more.",
            "您目前无需操作，有进展我们会及时通知您。",
        ),
        Fault::EventBurst => pair(
            "Archive the log before it wraps, find the sensor behind the entry, then decide: part, cable or firmware.",
            "在日志被覆盖前先存档，找到事件对应的传感器，再判断是部件、线缆还是固件问题。",
            "You need to do nothing at present; we tell you what we find.",
            "您目前无需操作，查明原因后我们会通知您。",
        ),
        Fault::BmcSilent => pair(
            "Ping the BMC from the agent's machine, check management switch and cable, check the account; then reset the BMC (the host runs on).",
            "从代理主机 ping 该 BMC，检查管理交换机、网线和账号；仍无应答则重启 BMC（不影响主机运行）。",
            "If the server itself does not work either, please call us at once.",
            "如服务器本身也无法使用，请立即致电我们。",
        ),
        Fault::AgentSilent => pair(
            "Check the agent's machine and service, then the way to the collector (port, proxy, certificate); what the agent saw is kept and comes later.",
            "检查代理主机与服务状态，再检查到采集器的链路（端口、代理、证书）；代理已采集的数据会保存并在恢复后补传。",
            "If your site has a power or network outage, please tell us.",
            "如贵站点正在断电或断网，请告知我们。",
        ),
        Fault::PowerFeedLost => pair(
            "Ask the house for the feed: breaker, PDU, UPS, mains. Do not open power supplies; watch the load of the other feed.",
            "联系机房确认该回路的断路器、PDU、UPS 与市电状态；无需更换电源模块，注意另一路的负载。",
            "We see to it together with the data center. Please start no additional load until the feed is back.",
            "我们正与机房一起处理。恢复供电前请勿增加负载。",
        ),
        Fault::CoolingLost => pair(
            "Ask the house for the zone's air conditioning; shed load before servers throttle or stop.",
            "联系机房确认该区域空调状态；在服务器降频或关机之前先行降低负载。",
            "We see to it together with the data center. If you can, please move or stop load that can wait.",
            "我们正与机房一起处理。如条件允许，请迁移或暂停可延后的业务。",
        ),
        Fault::RackSilent => pair(
            "Ask the house whether the rack has power; then check the rack's management switch and its uplink.",
            "先向机房确认机柜是否有电，再检查机柜内带外交换机及其上联。",
            "If your services do not answer either, please call us at once.",
            "如业务也无法访问，请立即致电我们。",
        ),
        Fault::FeedSilent => pair(
            "Look for what these BMCs share: ask the house whether the feed has power, then check the management switch and its uplink. At first no power supply told of a lost input.",
            "排查这些 BMC 的共同点：先向机房确认该供电回路是否有电，再检查带外交换机及其上联；起初没有电源模块上报输入中断。",
            "If your services do not answer either, please call us at once.",
            "如业务也无法访问，请立即致电我们。",
        ),
        Fault::AgentBlind => pair(
            "Check the management network between the agent and the BMCs: switch, VLAN, firewall, routes of the agent's machine.",
            "检查代理与 BMC 之间的带外网络：交换机、VLAN、防火墙以及代理主机的路由。",
            "If your services do not answer either, please call us at once.",
            "如业务也无法访问，请立即致电我们。",
        ),
        Fault::FirmwareWave => pair(
            "Stop the rollout, compare with a server that was not updated, look at the maker's release notes, roll one BMC back.",
            "暂停升级批次，与未升级的服务器对比，查阅厂商发布说明，先回退一台 BMC 验证。",
            "You need to do nothing; the update concerns the management controller only.",
            "您无需操作，该升级仅涉及管理控制器。",
        ),
        Fault::ClockStepped => pair(
            "Compare the time of the collector's machine with a trusted source and mend its NTP; once it is right, let the collector follow it: outband time --confirm",
            "将采集器主机时间与可信时间源核对并修复 NTP；确认无误后运行 outband time --confirm，让采集器采用该时间。",
            "You need to do nothing.",
            "您无需操作。",
        ),
        Fault::StoreNearlyFull => pair(
            "Free space on the collector's disk, enlarge it, or shorten [retention]; at the end nothing more is taken in, and agents keep what they have.",
            "清理或扩容采集器磁盘，或缩短 [retention] 保留期；空间耗尽后将停止接收，数据暂存于代理端。",
            "You need to do nothing.",
            "您无需操作。",
        ),
        Fault::StoreDamaged => pair(
            "Stop the collector, keep the file, and restore the newest backup: outband-collector restore; agents send again what the backup does not hold. Then test the disk and the memory of the collector's machine.",
            "停止采集器并保留该文件，用 outband-collector restore 恢复最近的备份；备份之后的数据由代理端重新发送。随后检测采集器主机的磁盘与内存。",
            "You need to do nothing.",
            "您无需操作。",
        ),
        Fault::NoticesStuck => pair(
            "Look at `outband notices` for what the channel says, mend it, then replay what failed; until then watch tickets by hand.",
            "用 `outband notices` 查看通道报错并修复，再重发失败的通知；修复前请人工查看工单。",
            "You need to do nothing.",
            "您无需操作。",
        ),
        Fault::AgentUnreadable => pair(
            "Compare the versions of agent and collector and upgrade the older one. Where the reason names the collector's disk, test the disk and the memory of its machine. What was kept apart stays in the store.",
            "核对代理与采集器版本并升级较旧的一方；若原因指向采集器磁盘，请检测其磁盘与内存。被隔离的数据仍保留在存储中。",
            "You need to do nothing.",
            "您无需操作。",
        ),
    }
}
