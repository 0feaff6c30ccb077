# A `not` around what may be unable to answer, which docs/opa.md advises against.
# entrypoint: failing/allow
package failing

import rego.v1

default allow := false

allow if {
	address := input.address
	not net.cidr_contains("10.0.0.0/8", address)
}
