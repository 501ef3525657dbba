//! The headings, states and remarks of reports in both languages. What faults and rules are called stands in [`crate::words`].

use super::case::Class;
use super::sla::Group;
use crate::discretion;
use crate::words::Lang;
use outband_ticket::calendar::Flag;
use outband_ticket::sla::ClockStatus;
use outband_ticket::{Resolution, State, Target, Verdict};
use std::borrow::Cow;

macro_rules! labels {
    ($($name:ident $en:literal $zh:literal,)*) => {
        /// What reports say besides figures.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Label { $(#[doc = $en] $name),* }

        impl Label {
            /// In a language.
            pub fn text(self, lang: Lang) -> &'static str {
                match (self, lang) { $((Self::$name, Lang::En) => $en, (Self::$name, Lang::ZhCn) => $zh,)* }
            }
        }
    };
}

labels! {
    SlaReport "SLA report" "SLA 报告",
    Reliability "Reliability report" "可靠性报告",
    FaultReport "Fault report" "故障报告",
    Diagnosis "Diagnosis report" "诊断报告",
    Customer "Customer" "客户",
    ServiceDesk "service desk" "服务台",
    ACustomer "customer" "客户",
    Site "Site" "站点",
    Period "Period" "期间",
    Zone "Time zone" "时区",
    AsOf "As known at" "数据截至",
    Tzdb "Time zone data" "时区数据库版本",
    About "About" "概要",
    Field "Field" "项目",
    Value "Value" "内容",
    Summary "Tickets by outcome" "工单结果统计",
    Outcome "Outcome" "结果",
    Tickets "Tickets" "工单数",
    Opened "opened in the period" "期间新建",
    CarriedIn "carried in" "上期结转",
    SumOfClasses "sum" "合计",
    Attainment "Attainment" "达成率",
    AttainmentApart "Measured apart: recovered by itself, false alarms" "单独统计：自行恢复与误报",
    ByClock "Attainment by clock" "各时钟达成率",
    Clock "Clock" "时钟",
    Policy "Policy" "策略",
    Revision "Revision" "版本",
    Priority "Priority" "优先级",
    Met "Met" "达成",
    Missed "Missed" "未达成",
    Decided "Decided" "已判定",
    Share "Share" "比例",
    Group "Group" "类别",
    Misses "Misses" "未达成明细",
    MissWaits "What each miss waited for" "未达成期间的等待",
    MissTimeline "Timeline of each miss" "未达成工单时间线",
    Ticket "Ticket" "工单",
    Title "Title" "标题",
    Server "Server" "服务器",
    Run "Run" "轮次",
    Number "No." "序号",
    Allowed "Allowed" "时限",
    Start "Start" "开始",
    Due "Ran out at" "超时时间",
    MetAt "Met at" "完成时间",
    Elapsed "Counted" "计时",
    Over "Too long by" "超出",
    Paused "Paused" "暂停时长",
    WaitedFor "Waited for" "等待对象",
    Assignee "Assignee" "负责人",
    From "From" "起",
    Until "Until" "止",
    Length "Length" "时长",
    At "Time" "时间",
    Who "Who" "人员",
    What "What" "事件",
    Why "Why" "说明",
    MaintenanceWindows "Maintenance windows" "维护窗口",
    Window "Window" "窗口",
    Covers "Covers" "范围",
    Rule "Rule" "规则",
    Rack "Rack" "机柜",
    SetAside "Set aside: maintenance, merged, drills" "不计入统计：维护、合并、演练",
    Runs "Clock runs" "计时轮次",
    OpenAtEnd "Open at the end of the period" "期末未结工单",
    State "State" "状态",
    OpenedAt "Opened" "创建时间",
    WaitingTitle "Time that tickets waited for others" "等待时长",
    ForParts "For parts" "等待备件",
    ForCustomer "For the customer" "等待客户",
    PartsStop "Clocks that parts stop" "等待备件时暂停的时钟",
    Flagged "Counted beyond a calendar's known days" "超出日历有效期的计时",
    Calendar "Calendar" "日历",
    Flags "Remark" "备注",
    Rules "How it was counted" "统计口径",
    RuleDecided "A run of a clock belongs to the period in which it was decided: met in time, at that moment; out of time, at the moment it ran out. Each run is in exactly one period; one that still runs, or stands still, is in none yet." "每一轮计时归入其判定时刻所在的期间：按时完成的以完成时刻为准，超时的以超时时刻为准。每轮只计入一个期间；仍在计时或暂停的暂不计入。",
    RuleTickets "A ticket is counted in the period in which it ended; one that had not ended by then is open, and in no other figure." "工单计入其结束所在的期间；期末尚未结束的只计为未结。",
    RuleApart "Tickets that ended by themselves and false alarms are measured apart. Drills, merged tickets, and what was decided inside a maintenance window, are in no share; they are listed." "自行恢复和误报单独统计；演练、合并的工单以及维护窗口内判定的计时不计入达成率，另行列出。",
    RuleNone "Where nothing was decided there is no share; it is written as none, never as 100 %." "没有已判定的计时则无达成率，写作“无”，不写作 100 %。",
    RulePauses "Only the states that the policy names stop a clock. Time that is paused is shown beside each miss." "只有策略指定的状态才暂停计时；每个未达成项均列出暂停时长。",
    NoMisses "no promise was missed" "无未达成项",
    Nothing "none" "无",
    GroupCounted "counted" "计入",
    GroupRecovered "recovered by itself" "自行恢复",
    GroupFalseAlarm "false alarm" "误报",
    GroupMaintenance "maintenance" "维护窗口",
    GroupMerged "merged" "已合并",
    GroupDrill "drill" "演练",
    ClassRepaired "repaired" "已修复",
    ClassOpen "open at the end" "期末未结",
    StateNew "nobody has it" "待接单",
    StateAssigned "assigned" "已派单",
    StateInProgress "in progress" "处理中",
    StateCustomer "waiting for the customer" "等待客户",
    StateParts "waiting for parts" "等待备件",
    StateResolved "resolved" "已解决",
    StateClosed "closed" "已关闭",
    StateReopened "reopened" "重新打开",
    ClockPickup "phone answered" "接听",
    ClockContact "contact" "联系客户",
    ClockRespond "respond" "响应",
    ClockFirstResponse "first response" "首次响应",
    ClockRemoteAccess "remote access" "远程接入",
    ClockOnsite "on site" "到场",
    ClockLocate "locate" "定位",
    ClockWorkaround "workaround" "临时恢复",
    ClockRepair "repair" "修复",
    ClockUpdate "progress update" "进展通报",
    Beyond "after the last day for which the calendar is known" "晚于日历有效期",
    Before "before the first day for which the calendar is known" "早于日历有效期",
    StatusRunning "running" "计时中",
    StatusPaused "paused" "暂停",
    StatusMet "met" "达成",
    StatusBreached "ran out" "已超时",
    StatusLate "met late" "超时完成",
    All "all" "全部",
    Model "Model" "型号",
    Unknown "not known" "未知",
    Servers "Servers" "服务器数",
    Watched "Watched" "监测时长",
    Answers "MTTA: from opening to the first answer" "MTTA：创建至首次响应",
    Repairs "MTTR: from opening to repair" "MTTR：创建至修复",
    RepairsNet "MTTR without the customer's time" "MTTR（不含等待客户）",
    FailuresTitle "MTBF: time watched for each failure" "MTBF：平均故障间隔",
    Count "Count" "数量",
    Mean "Mean" "平均",
    Median "Median" "中位数",
    LowerQuartile "Lower quartile" "下四分位",
    UpperQuartile "Upper quartile" "上四分位",
    Longest "Longest" "最长",
    Unanswered "Unanswered" "未响应",
    Failures "Failures" "故障数",
    Mtbf "MTBF" "MTBF",
    AtLeast "At least (95 %)" "下限（95 %）",
    AtMost "At most (95 %)" "上限（95 %）",
    RuleSamples "Real faults only: drills, false alarms, merged tickets, maintenance and what ended by itself are left out. Answers: of tickets opened in the period. Repairs: of those repaired in it." "仅统计真实故障：不含演练、误报、合并、维护期间及自行恢复的工单。响应按期间新建的工单统计，修复按期间修复的工单统计。",
    ForetoldTitle "Predictions by rule" "各规则预测准确率",
    ForetoldRight "Right" "正确",
    ForetoldWrong "Wrong" "错误",
    ForetoldUnknown "Not verified" "未核实",
    ForetoldPending "Not ended" "未结束",
    PercentAtLeast "At least, % (95 %)" "下限，%（95 %）",
    PercentAtMost "At most, % (95 %)" "上限，%（95 %）",
    Lead "Median lead" "提前量中位数",
    RuleForetold "Predictions opened in the period. Right: the failure was seen, or a test confirmed it. Wrong: a test found nothing, or another part. A part that was replaced without a test counts as neither. The interval is Wilson's." "统计期间新建的预测工单。正确：故障已发生或检测确认；错误：检测未发现故障或为其他部件；未经检测即更换的不计入。区间为 Wilson 区间。",
    RuleFailures "A failure is one of the server's own parts that was seen to fail, not only foretold. The interval is the exact one of a Poisson process (Garwood)." "故障指服务器自身部件已发生的故障，不含预测。区间为泊松过程的精确置信区间（Garwood）。",
    Serial "Serial number" "序列号",
    Contract "Contract" "合同",
    Package "Package" "服务包",
    Triage "Kind of trouble" "故障归类",
    TriageComputed "Kind as computed" "系统故障归类",
    Component "Component" "部件",
    Fault "Fault" "故障",
    Onset "First seen" "最早出现",
    EndedAt "Ended" "结束时间",
    Resolution "Resolution" "处理结果",
    Cause "Cause" "原因",
    NotYetKnown "The root cause is not known yet." "根因尚未确定。",
    Meaning "What it means" "影响说明",
    Evidence "Evidence" "证据",
    Fact "Fact" "事实",
    Timeline "Timeline" "时间线",
    Around "What happened to the server around it" "故障前后服务器事件",
    Source "Source" "来源",
    Clocks "Clocks" "时钟",
    Spans "Counted spans" "计时区间",
    Pauses "Pauses" "暂停区间",
    Status "Status" "状态",
    Parts "Parts" "部件更换",
    Old "Old" "旧件",
    New "New" "新件",
    FirstSeen "First seen" "首次发现",
    LastSeen "Last seen" "最后发现",
    Part "Part" "部件",
    Firmware "Firmware" "固件",
    FiveWhys "Five whys" "五个为什么",
    WhyNumber "Why?" "为什么？",
    ToBeFilled "(to be filled in)" "（待填写）",
    Prevention "What keeps it from coming again" "避免再次发生的措施",
    Recommended "Recommended for this kind of fault" "针对此类故障的建议",
    Next "What to do next" "下一步",
    Verdict "Verdict" "结论",
    StillOpen "This ticket is still open; what follows is what is known now." "此工单尚未结束，以下为目前已知情况。",
    ResolutionRepaired "repaired" "已修复",
    ResolutionRecovered "recovered by itself" "自行恢复",
    ResolutionFalseAlarm "false alarm" "误报",
    ResolutionMerged "merged" "已合并",
    VerdictConfirmed "the fault was there" "故障属实",
    VerdictNoFaultFound "no fault found" "检测未发现故障",
    VerdictOtherPart "another part was at fault" "故障部件另有其他",
    VerdictReplacedWithoutTest "replaced or repaired without a test" "已更换或修复，未经检测",
    DrillNote "This is a drill: an exercise, no fault." "这是一次演练，并非真实故障。",
}

/// A clock by its name; what is not shipped is called as it is.
pub fn clock(target: &Target, lang: Lang) -> Cow<'_, str> {
    let label = match target.as_str() {
        "pickup" => Label::ClockPickup,
        "contact" => Label::ClockContact,
        "respond" => Label::ClockRespond,
        "first_response" => Label::ClockFirstResponse,
        "remote_access" => Label::ClockRemoteAccess,
        "onsite" => Label::ClockOnsite,
        "locate" => Label::ClockLocate,
        "workaround" => Label::ClockWorkaround,
        "repair" => Label::ClockRepair,
        "update_cadence" => Label::ClockUpdate,
        other => return Cow::Borrowed(other),
    };
    Cow::Borrowed(label.text(lang))
}

impl Group {
    /// What it is called.
    pub fn label(self) -> Label {
        match self {
            Self::Counted => Label::GroupCounted,
            Self::Recovered => Label::GroupRecovered,
            Self::FalseAlarm => Label::GroupFalseAlarm,
            Self::Maintenance => Label::GroupMaintenance,
            Self::Merged => Label::GroupMerged,
            Self::Drill => Label::GroupDrill,
        }
    }
}

impl Class {
    /// What it is called.
    pub fn label(self) -> Label {
        match self {
            Self::Drill => Label::GroupDrill,
            Self::Merged => Label::GroupMerged,
            Self::Maintenance => Label::GroupMaintenance,
            Self::FalseAlarm => Label::GroupFalseAlarm,
            Self::Recovered => Label::GroupRecovered,
            Self::Repaired => Label::ClassRepaired,
            Self::Open => Label::ClassOpen,
        }
    }
}

/// What a state means to those who wait.
pub fn state(state: State) -> Label {
    match state {
        State::New => Label::StateNew,
        State::Assigned => Label::StateAssigned,
        State::InProgress => Label::StateInProgress,
        State::WaitingForCustomer => Label::StateCustomer,
        State::WaitingForParts => Label::StateParts,
        State::Resolved => Label::StateResolved,
        State::Closed => Label::StateClosed,
        State::Reopened => Label::StateReopened,
    }
}

/// What a reader must know of a calendar.
pub fn flag(flag: Flag) -> Label {
    match flag {
        Flag::BeyondCalendar => Label::Beyond,
        Flag::BeforeCalendar => Label::Before,
    }
}

/// Where a clock stands.
pub fn status(status: ClockStatus) -> Label {
    match status {
        ClockStatus::Running => Label::StatusRunning,
        ClockStatus::Paused => Label::StatusPaused,
        ClockStatus::Met => Label::StatusMet,
        ClockStatus::Breached => Label::StatusBreached,
        ClockStatus::MetLate => Label::StatusLate,
    }
}

/// Who somebody is, in words where a customer reads no name.
pub fn who(name: &str, lang: Lang) -> &str {
    match name {
        discretion::DESK => Label::ServiceDesk.text(lang),
        discretion::CUSTOMER => Label::ACustomer.text(lang),
        name => name,
    }
}

/// How it ended.
pub fn resolution(resolution: Resolution) -> Label {
    match resolution {
        Resolution::Repaired => Label::ResolutionRepaired,
        Resolution::Recovered => Label::ResolutionRecovered,
        Resolution::FalseAlarm => Label::ResolutionFalseAlarm,
        Resolution::Merged => Label::ResolutionMerged,
    }
}

/// What a person says that it was.
pub fn verdict(verdict: Verdict) -> Label {
    match verdict {
        Verdict::Confirmed => Label::VerdictConfirmed,
        Verdict::NoFaultFound => Label::VerdictNoFaultFound,
        Verdict::FalseAlarm => Label::ResolutionFalseAlarm,
        Verdict::OtherPart => Label::VerdictOtherPart,
        Verdict::ReplacedWithoutTest => Label::VerdictReplacedWithoutTest,
    }
}
