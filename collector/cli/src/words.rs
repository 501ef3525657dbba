//! Headings, states and advice in the operator's language. What the collector and the BMCs say is shown as they say it.

use clap::ValueEnum;

/// A language that the output speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    En,
    #[value(name = "zh-CN", alias = "zh")]
    ZhCn,
}

impl Lang {
    /// The language of the locale, as POSIX ranks the variables.
    pub(crate) fn of_environment(env: impl Fn(&str) -> Option<String>) -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|k| env(k).filter(|v| !v.is_empty()));
        if locale.is_some_and(|l| l.starts_with("zh")) { Self::ZhCn } else { Self::En }
    }
}

macro_rules! words {
    ($($name:ident $en:literal $zh:literal,)*) => {
        /// What the output says, in every language.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Word { $($name),* }

        impl Word {
            pub(crate) fn text(self, lang: Lang) -> &'static str {
                match (self, lang) { $((Word::$name, Lang::En) => $en, (Word::$name, Lang::ZhCn) => $zh,)* }
            }
        }
    };
}

words! {
    // headings
    Age "AGE" "时间",
    After "AFTER" "之后",
    Agent "AGENT" "代理",
    Assignee "ASSIGNEE" "负责人",
    AuditEntries "AUDIT ENTRIES" "审计条目",
    Before "BEFORE" "之前",
    Cause "CAUSE" "原因",
    Clock "CLOCK" "时钟",
    Calendar "CALENDAR" "日历",
    Until "UNTIL" "止",
    Note "NOTE" "注意",
    WallClockHeld "WALL CLOCK OFF BY" "系统时钟偏差",
    NoClocks "no clock runs for this ticket" "此工单没有时钟",
    ClockStarted "clock began" "开始计时",
    ClockRebased "counted anew from here" "由此重新计时",
    ClockResumed "pause ended" "暂停结束",
    HoursOpened "open hours began" "进入服务时间",
    BeyondCalendar "counts days for which no holidays are known yet: may move when the calendar's next year is imported" "含日历有效期之后的日期：导入下一年日历后可能变动",
    BeforeCalendar "counts days before the first for which holidays are known" "含日历有效期之前的日期",
    ClockPickup "phone answered" "接听",
    ClockContact "contact" "联系客户",
    ClockFirstResponse "first response" "首次响应",
    ClockRemoteAccess "remote access" "远程接入",
    ClockOnsite "on site" "到场",
    ClockWorkaround "workaround" "临时恢复",
    ClockUpdateCadence "customer update" "进展通报",
    Code "CODE" "代码",
    Component "COMPONENT" "部件",
    Connected "CONNECTED" "连接",
    Detail "DETAIL" "详情",
    Due "DUE" "到期",
    Event "EVENT LANE" "事件通道",
    Firmware "FIRMWARE" "固件",
    From "FROM" "起",
    Hash "HASH" "哈希",
    Hostname "HOSTNAME" "主机名",
    Intact "INTACT ENTRIES" "完好条目",
    Kind "KIND" "类型",
    LastSeen "LAST SEEN" "最近上报",
    Limits "LIMITS" "阈值",
    LikelyMissed "likely to be missed" "预计超时",
    Log "LOG" "日志",
    Lost "WHY" "扣分原因",
    Manufacturer "MANUFACTURER" "厂商",
    Message "MESSAGE" "内容",
    Accesses "OPEN ACCESSES" "未关闭的临时访问",
    Mentions "STILL NAMED IN" "文本中仍提及",
    Model "MODEL" "型号",
    Name "NAME" "名称",
    NextClock "NEXT CLOCK" "最近时钟",
    Number "NO" "序号",
    Onset "ONSET" "起始",
    Opened "OPENED" "创建",
    PartNumber "PART NUMBER" "部件号",
    Points "POINTS" "扣分",
    Predicted "PREDICTED" "预测",
    Priority "P" "级别",
    Pseudonym "PSEUDONYM" "化名",
    Quality "QUALITY" "质量",
    Reason "REASON" "依据",
    Request "REQUEST" "请求号",
    Resolution "RESOLUTION" "处理结果",
    Role "ROLE" "角色",
    RootCause "ROOT CAUSE" "根因",
    Rule "RULE" "规则",
    Score "SCORE" "健康分",
    Sensor "SENSOR" "传感器",
    Serial "SERIAL" "序列号",
    Server "SERVER" "服务器",
    Severity "SEVERITY" "严重性",
    Site "SITE" "站点",
    Size "SIZE" "容量",
    Source "SOURCE" "来源",
    State "STATE" "状态",
    Status "STATUS" "状态",
    Target "TARGET" "目标",
    Targets "TARGETS" "目标",
    Telemetry "TELEMETRY LANE" "遥测通道",
    Ticket "TICKET" "工单",
    TicketEntries "TICKET ENTRIES" "工单条目",
    Tickets "TICKETS" "工单",
    TicketsBefore "TICKETS CLOSED BEFORE" "早于此时关闭的工单",
    AuditBefore "AUDIT ENTRIES BEFORE" "早于此时的审计条目",
    NoticesHead "NOTICES" "通知",
    Kept "KEPT ON HOLD" "因保留令未删除",
    OtherRows "OTHER ROWS" "其他记录",
    Proof "PROOF" "删除证明",
    Files "FILES" "文件",
    Seal "SEAL" "封签",
    Time "TIME" "时刻",
    Title "TITLE" "标题",
    To "TO" "止",
    Unit "UNIT" "单位",
    Used "USED" "已用",
    Uuid "UUID" "UUID",
    Value "VALUE" "数值",
    Version "VERSION" "版本",
    Who "WHO" "操作人",
    What "WHAT" "动作",
    Why "WHY" "说明",
    Fault "FAULT" "故障",
    Covers "COVERS" "范围",
    Lasts "LASTS" "时长",
    Recurs "COMES AGAIN" "重复规则",
    InForceUntil "IN FORCE UNTIL" "生效至",
    Ended "ENDED" "结束",
    Zone "TIME ZONE" "时区",
    NoTicketFor "NO TICKET" "未开工单原因",
    Parent "PART OF" "所属事件",
    MergedInto "MERGED INTO" "合并至",
    Links "LINKS" "关联工单",
    Quiet "NO PAGES" "静默原因",
    Provisional "provisional" "暂定",
    Verdict "VERDICT" "结论",
    Policy "POLICY" "服务策略",
    // sections of a sheet
    Clocks "Clocks" "SLA 时钟",
    Comments "Comments" "备注",
    Evidence "Evidence" "证据",
    History "History" "历史",
    Parts "Parts" "部件清单",
    Penalties "Points lost" "扣分明细",
    Below "Below" "下级",
    // states
    Yes "yes" "是",
    No "no" "否",
    Ok "OK" "正常",
    Warning "WARNING" "警告",
    Critical "CRITICAL" "严重",
    Stale "STALE" "数据过期",
    Unknown "UNKNOWN" "未知",
    New "new" "新建",
    Assigned "assigned" "已分派",
    InProgress "in progress" "处理中",
    WaitingForCustomer "waiting for customer" "等待客户",
    WaitingForParts "waiting for parts" "等待备件",
    Resolved "resolved" "已解决",
    Closed "closed" "已关闭",
    Reopened "reopened" "重新打开",
    Running "running" "计时中",
    Paused "paused" "已暂停",
    Met "met" "已达成",
    MetLate "met late" "超时达成",
    Breached "breached" "已超时",
    Respond "respond" "响应",
    Locate "locate" "定位",
    Repair "repair" "修复",
    // notices
    Channel "CHANNEL" "渠道",
    Recipient "RECIPIENT" "接收人",
    Tries "TRIES" "尝试次数",
    NextTry "NEXT TRY" "下次尝试",
    Fallback "FALLBACK" "备选顺序",
    Key "KEY" "标识",
    Pending "pending" "待发送",
    Delivered "delivered" "已送达",
    Failed "failed" "发送失败",
    Cancelled "cancelled" "已取消",
    Acknowledged "acknowledged: ticket" "已确认：工单",
    NoContacts "no contract names a contact" "没有合同指定联系人",
    Contract "CONTRACT" "合同",
    CustomerHead "CUSTOMER" "客户",
    Turn "TURN" "顺序",
    ContactName "NAME" "姓名",
    Phone "PHONE" "电话",
    Verified "VERIFIED" "核实日期",
    Days "DAYS" "天数",
    VerifyAgain "verify again" "需重新核实",
    ToldNowhere "not in collector.toml" "未在 collector.toml 中配置",
    Holder "HOLDER" "持有人",
    VerifiedHow "VERIFIED HOW" "核实方式",
    NoGrants "nobody has temporary access" "没有临时访问",
    BmcTime "BMC TIME" "BMC 时间",
    Requester "ASKED BY" "申请人",
    Approver "APPROVED BY" "批准人",
    ExpiresAt "VALID UNTIL" "有效期至",
    OrderFile "FILE" "附件",
    OrdersStopped "orders are stopped: nothing is sent" "指令已停止：不再下发",
    OrdersSent "orders are sent when they are approved" "指令批准后即下发",
    NoOrders "no order matches" "没有符合条件的指令",
    NoNotices "no notice matches" "没有符合条件的通知",
    // nothing to show
    NoServers "no server has been seen yet" "尚未发现服务器",
    NoReadings "no reading matches" "没有符合条件的读数",
    NoEvents "no log entries" "没有日志",
    NoGaps "nothing is missing" "没有数据缺失",
    NoTickets "no ticket matches" "没有符合条件的工单",
    NoIncidents "everything is well" "没有异常",
    Members "MEMBERS" "成员数",
    Pages "PAGES" "是否告警",
    Plan "PLAN" "演练计划",
    Runbook "RUNBOOK" "演练步骤",
    Parameter "PARAMETER" "参数",
    Usual "USUAL" "默认值",
    AsTheBmcSays "the BMC's" "以 BMC 为准",
    MeasuredAcknowledged "acknowledged" "确认告警",
    MeasuredPickedUp "picked up" "接听",
    MeasuredAnswered "answered" "首次响应",
    MeasuredTaken "taken" "接单",
    MeasuredLocated "located" "定位",
    MeasuredResolved "resolved" "处理完成",
    NoDrills "no drill is on" "当前没有演练",
    NoOverrides "no threshold is set otherwise" "没有临时阈值",
    NoWindows "no maintenance window" "没有维护窗口",
    NoAgents "no agent has called yet" "尚无代理接入",
    NoEntries "the audit log has no such entry" "审计日志中没有符合条件的条目",
    More "there is more: raise --limit (0: all)" "还有更多：请加大 --limit（0 为全部）",
    // errors
    Error "error" "错误",
    Likely "likely cause" "可能原因",
    Next "try" "下一步",
    LikelyNotRunning "the collector does not run there, or a firewall is in between" "采集器未运行，或被防火墙阻断",
    LikelyOtherCa "this is another collector's CA file, or the address is not in the certificate" "CA 文件属于另一台采集器，或证书不含该地址",
    LikelyNotOnCollector "this is not the collector's machine, or its directory may not be read" "本机不是采集器，或无权读取其目录",
    LikelyWrongValue "a value that is none of those it can be" "参数值不在允许范围内",
    LikelyMistyped "the name is mistyped" "名称有误",
    LikelyOldToken "the token was revoked, or is another collector's" "令牌已失效，或属于另一台采集器",
    LikelyOtherRole "this is not an operator's token" "这不是运维令牌",
    LikelyMoved "the ticket has moved on meanwhile, or its state does not allow this" "工单已被他人更新，或其状态不允许此操作",
    LikelyOtherVersion "the collector is of another version" "采集器版本不同",
    LikelyCollectorFault "the collector could not do it; its log says why" "采集器内部错误，详见其日志",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_follows_the_first_locale_variable_that_is_set() {
        let of = |all: &'static [(&str, &str)]| {
            Lang::of_environment(|k| all.iter().find(|(n, _)| *n == k).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8")]), Lang::ZhCn);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")]), Lang::En);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "")]), Lang::ZhCn);
        assert_eq!(of(&[]), Lang::En);
    }
}
