# Business hours, by the time of the decision.
# entrypoint: hours/allow
package hours

import rego.v1

default allow := false

allow if {
	[hour, _, _] := time.clock(input.now)
	hour >= 8
	hour < 18
	day := time.weekday(input.now)
	not day in {"Saturday", "Sunday"}
}
