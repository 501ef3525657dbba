"""What the agent read by /dev/ipmi0 beside what ipmitool read by it, out of the console of the virtual machine."""

import json
import sys

text = open(sys.argv[1], errors="replace").read().replace("\r", "")


def between(begin, end):
    at = text.index(begin + "\n") + len(begin) + 1
    return text[at : text.index(end, at)].splitlines()


def number(word):
    try:
        return float(word)
    except ValueError:
        return None


theirs = {}
for line in between("@@ipmitool sensor", "@@ipmitool sel"):
    fields = line.split(",")
    if len(fields) >= 4 and (value := number(fields[1])) is not None:
        theirs.setdefault(fields[0], []).append(value)
entries = [line for line in between("@@ipmitool sel", "@@agent") if " | " in line]

said = [json.loads(line) for line in between("@@agent", "@@agent ended") if line.startswith("{")]
readings = [o for o in said if o.get("type") == "reading" and o["source"].startswith("ipmi:") and isinstance(o["value"], (int, float))]
ours = {}
for reading in readings:
    # Sensors of one name stay apart by their numbers with us.
    ours.setdefault(reading["sensor"].split("#")[0], []).append(reading["value"])
events = [o for o in said if o.get("type") == "event"]

wrong = []
# ipmitool prints names in 6-bit ASCII and BCD as the bytes they are: such a value has to be one that no other name of ours has.
nameless = [value for name in list(theirs) if not name.isascii() or not name.isprintable() for value in theirs.pop(name)]
rest = [value for name, values in ours.items() if name not in theirs for value in values]
if sorted(rest) != sorted(nameless):
    wrong.append(f"names that ipmitool does not decode: ipmitool {nameless}, the agent {rest}")
for name, values in theirs.items():
    got = sorted(ours.get(name, []))
    if len(got) != len(values) or any(abs(a - b) > 0.001 for a, b in zip(got, sorted(values))):
        wrong.append(f"{name}: ipmitool {values}, the agent {got}")
if len(events) != len(entries):
    wrong.append(f"event log: ipmitool {len(entries)} entries, the agent {len(events)}")
if "@@agent ended: 0" not in text:
    wrong.append("the agent did not end well")
if "@@without ended: 1" not in text or "modprobe" not in text[text.index("@@without") :]:
    wrong.append("without a driver the agent does not say what to do")
if len(theirs) < 10:
    wrong.append(f"ipmitool itself read {len(theirs)} sensors")
print(f"{len(nameless) + sum(map(len, theirs.values()))} values of ipmitool, {len(readings)} of the agent; {len(entries)} entries of the log; {len(wrong)} differences")
for line in wrong:
    print("  " + line)
sys.exit(1 if wrong else 0)
