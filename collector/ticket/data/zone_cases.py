#!/usr/bin/env python3
"""A second implementation of the calendars' conventions, slow and plain, for where clocks change.

    python3 zone_cases.py 1200 1 > zone_cases.json       # so many cases, from a seed
    python3 zone_cases.py 100000 1 > /tmp/many.json && OUTBAND_SLA_CASES=/tmp/many.json cargo test -p outband-ticket sla_cases

It shares nothing with the Rust code: zones come from Python's zoneinfo, and every open period of two years is laid out and
merged before a question is asked. Dates end with 2024, so that the version of the zone data does not matter.
"""
import json
import random
import sys
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
# Zone and a day near which its clocks change.
PLACES = [
    ("Europe/Berlin", "2021-03-28"), ("Europe/London", "2019-10-27"), ("America/New_York", "2022-11-06"),
    ("America/Los_Angeles", "2014-03-09"), ("Australia/Sydney", "2018-04-01"), ("Australia/Adelaide", "2020-10-04"),
    ("Australia/Lord_Howe", "2019-04-07"), ("Australia/Lord_Howe", "2019-10-06"), ("Pacific/Apia", "2011-12-30"),
    ("Pacific/Kwajalein", "1993-08-21"), ("America/Sao_Paulo", "2018-11-04"), ("America/Santiago", "2022-09-11"),
    ("America/St_Johns", "2010-03-14"), ("Asia/Kathmandu", "2020-05-01"), ("Pacific/Chatham", "2023-04-02"),
    ("Asia/Tehran", "2021-03-22"), ("Africa/Casablanca", "2019-05-05"), ("Asia/Pyongyang", "2018-05-05"),
    ("Antarctica/Troll", "2021-03-28"), ("America/Caracas", "2016-05-01"), ("Asia/Shanghai", "1990-04-15"),
    ("Asia/Beirut", "2022-03-27"), ("America/Asuncion", "2020-10-04"), ("UTC", "2020-02-29"),
]
HOURS = ["00:00", "00:15", "00:30", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30", "06:00", "08:00", "09:00",
         "12:00", "12:01", "13:00", "17:00", "17:59", "18:00", "21:30", "22:00", "23:00", "23:30", "24:00"]


def seconds(text):
    hours, minutes = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60


class Calendar:
    def __init__(self, spec, around):
        self.spec, self.zone = spec, ZoneInfo(spec["tz"])
        self.first, self.last = around - timedelta(days=400), around + timedelta(days=800)
        periods = []
        day = self.first
        while day <= self.last:
            periods += self.begin_on(day)
            day += timedelta(days=1)
        self.open = []
        for start, end in sorted(periods):
            if self.open and start <= self.open[-1][1]:
                self.open[-1][1] = max(end, self.open[-1][1])
            else:
                self.open.append([start, end])

    def instant(self, day, second):
        local = datetime(day.year, day.month, day.day) + timedelta(seconds=second)
        return int(local.replace(tzinfo=self.zone, fold=0).timestamp())

    def edges(self, day, windows):
        for start, end in windows:
            start, end = seconds(start), seconds(end)
            if end <= start:
                end += 86400
            start, end = self.instant(day, start), self.instant(day, end)
            if start < end:
                yield start, end

    def windows(self, day):
        spec, text = self.spec, day.isoformat()
        if text in spec.get("overrides", {}):
            return spec["overrides"][text]
        if text in spec.get("make_up", {}):
            return spec["week"].get(spec["make_up"][text], [])
        if text in spec.get("holidays", []) or text[5:] in spec.get("holidays_yearly", []):
            return []
        return spec["week"].get(DAYS[day.weekday()], [])

    def breaks(self, day):
        spec, text = self.spec, day.isoformat()
        found = list(spec.get("breaks", {}).get(text, []))
        if text not in spec.get("overrides", {}):
            found += spec.get("weekly_breaks", {}).get(spec.get("make_up", {}).get(text, DAYS[day.weekday()]), [])
        return found

    def begin_on(self, day):
        left = list(self.edges(day, self.windows(day)))
        for offset in (-1, 0, 1, 2):
            near = day + timedelta(days=offset)
            for begin, end in self.edges(near, self.breaks(near)):
                left = [piece for start, stop in left for piece in ((start, min(stop, begin)), (max(start, end), stop))
                        if piece[0] < piece[1]]
        return left

    def counted(self, start, end, pauses):
        for begin, stop in self.open:
            left = [(max(begin, start), min(stop, end))]
            for pause, resume in pauses:
                if pause < resume:
                    left = [piece for a, b in left for piece in ((a, min(b, pause)), (max(a, resume), b))]
            for a, b in sorted(left):
                if a < b:
                    yield a, b

    def elapsed(self, start, end, pauses):
        return sum(b - a for a, b in self.counted(start, end, pauses))

    def due(self, start, target, pauses):
        for a, b in self.counted(start, 1 << 40, pauses):
            if target <= b - a:
                return a + target
            target -= b - a
        return None

    def before(self, anchor, offset):
        if offset == 0:
            return anchor
        for a, b in reversed(list(self.counted(0, anchor, []))):
            if offset <= b - a:
                return b - offset
            offset -= b - a
        return None

    def is_open(self, at):
        return any(a <= at < b for a, b in self.open)

    def opens_at(self, at):
        return next((max(a, at) for a, b in self.open if b > at), None)

    def closes_at(self, at):
        return next((b for a, b in self.open if b > at), None)

    def due_days(self, start, days, end_of_day):
        local = datetime.fromtimestamp(start, self.zone)
        day, left, step = local.date(), abs(days), -1 if days < 0 else 1
        while left > 0 or (end_of_day and not self.begin_on(day)):
            day += timedelta(days=step)
            if not self.first < day < self.last:
                return None
            if left > 0 and self.begin_on(day):
                left -= 1
        if end_of_day:
            return max(end for _, end in self.begin_on(day))
        if days == 0:
            return self.opens_at(start)
        return self.opens_at(self.instant(day, local.hour * 3600 + local.minute * 60 + local.second))


def some_windows(rng, most):
    return [[rng.choice(HOURS), rng.choice(HOURS)] for _ in range(rng.randint(0, most))]


def some_calendar(rng):
    tz, near = rng.choice(PLACES)
    near = date.fromisoformat(near)
    spec = {"tz": tz, "week": {day: some_windows(rng, 3) for day in DAYS if rng.random() < 0.8}}

    def dates():
        return [(near + timedelta(days=rng.randint(-4, 4))).isoformat() for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.4:
        spec["holidays"] = dates()
    if rng.random() < 0.2:
        spec["holidays_yearly"] = [day[5:] for day in dates()]
    if rng.random() < 0.3:
        spec["overrides"] = {day: some_windows(rng, 2) for day in dates()}
    if rng.random() < 0.4:
        spec["breaks"] = {day: some_windows(rng, 2) for day in dates()}
    if rng.random() < 0.3:
        spec["make_up"] = {day: rng.choice(DAYS) for day in dates()}
    if rng.random() < 0.2:
        spec["weekly_breaks"] = {day: some_windows(rng, 1) for day in rng.sample(DAYS, 2)}
    return spec, near


def replay(rng, name, calendar, moment, show):
    """A ticket that is opened, waits, and is promised something else."""
    times = sorted(moment() for _ in range(rng.randint(2, 7)))
    events, dues, pauses, start, target = [], [], [], times[0], rng.choice([0, 900, 3600, 14400, 86400])
    for at in times:
        if not events:
            events.append({"at": show(at), "ev": "create", "calendar": name, "target_s": target})
        elif pauses and pauses[-1][1] > 1 << 39:
            pauses[-1][1] = at
            events.append({"at": show(at), "ev": "resume"})
        elif rng.random() < 0.6:
            pauses.append([at, 1 << 40])
            events.append({"at": show(at), "ev": "pause"})
        else:
            rebase, target = rng.choice(["creation", "change"]), rng.choice([900, 7200, 28800])
            start = at if rebase == "change" else times[0]
            events.append({"at": show(at), "ev": "policy", "calendar": name, "target_s": target, "rebase": rebase})
        dues.append(show(calendar.due(start, target, pauses)))
    checks = [{"after": i, "due": due} for i, due in enumerate(dues)]
    return {"events": events, "checks": checks, "expect": dues}


def some_case(rng, name, number, calendar, near):
    noon = int(datetime(near.year, near.month, near.day, 12, tzinfo=timezone.utc).timestamp())

    # Where hours begin and end, and a second beside.
    edges = [edge for period in calendar.open for edge in period if abs(edge - noon) < 6 * 86400]

    def moment():
        if edges and rng.random() < 0.25:
            return rng.choice(edges) + rng.choice([-1, 0, 0, 0, 1])
        return noon + rng.choice([900, 1800, 1800, 3600, 1]) * rng.randint(-48, 48)

    def show(at):
        return None if at is None else datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    kind = rng.choice(["due", "due", "due", "elapsed", "elapsed", "elapsed", "is_open", "opens_at", "closes_at", "before",
                       "due_days", "replay"])
    case = {"id": f"zone-{number:05}", "kind": kind, "calendar": name}
    pauses = sorted(sorted([moment(), moment()]) for _ in range(rng.choice([0, 0, 0, 1, 2])))
    if kind in ("due", "elapsed") and pauses:
        case["pauses"] = [[show(a), show(b)] for a, b in pauses]
    amount = rng.choice([0, 1, 900, 3600, 7200, 86400]) * rng.randint(1, 12)
    at = moment()
    if kind == "replay":
        case |= replay(rng, name, calendar, moment, show)
    elif kind == "due":
        # Less than nothing lies on the other side.
        if not pauses and rng.random() < 0.1:
            answer = calendar.before(at, amount) if amount else calendar.due(at, 0, [])
            return case | {"start": show(at), "target_s": -amount, "expect": show(answer), "source": "zone_cases.py"}
        case |= {"start": show(at), "target_s": amount, "expect": show(calendar.due(at, amount, pauses))}
    elif kind == "elapsed":
        to = moment()
        case |= {"from": show(at), "to": show(to), "expect": calendar.elapsed(at, to, pauses) if to > at else 0}
    elif kind == "before":
        case |= {"anchor": show(at), "offset_s": amount, "expect": show(calendar.before(at, amount))}
    elif kind == "due_days":
        days, end_of_day = rng.randint(-5, 8), rng.random() < 0.5
        case |= {"start": show(at), "days": days, "end_of_day": end_of_day,
                 "expect": show(calendar.due_days(at, days, end_of_day))}
    else:
        answer = getattr(calendar, kind)(at)
        case |= {"at": show(at), "expect": answer if kind == "is_open" else show(answer)}
    case["source"] = "zone_cases.py"
    return case


def main(count, seed):
    rng = random.Random(seed)
    calendars, cases = {}, []
    while len(cases) < count:
        spec, near = some_calendar(rng)
        calendar = Calendar(spec, near)
        # One that never opens, or always is open, has no answers within two years.
        if not calendar.open or calendar.open[0][1] - calendar.open[0][0] > 100 * 86400:
            continue
        name = f"c{len(calendars)}"
        calendars[name] = spec
        for _ in range(min(3, count - len(cases))):
            cases.append(some_case(rng, name, len(cases), calendar, near))
    print('{"schema": "sla-cases/1",\n"calendars": {')
    print(",\n".join(f"{json.dumps(name)}: {json.dumps(spec)}" for name, spec in calendars.items()))
    print('},\n"cases": [')
    print(",\n".join(json.dumps(case) for case in cases))
    print("]}")


main(int(sys.argv[1]), int(sys.argv[2]))
