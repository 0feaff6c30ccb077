# Roles of callers in a mesh, and what each role may ask; the answer says more than yes.
# entrypoint: mesh/authz/result
package mesh.authz

import rego.v1

default allow := false

allow if {
	some role in roles
	some grant in data.grants[role]
	input.attributes.request.http.method in grant.methods
	glob.match(grant.path, ["/"], input.attributes.request.http.path)
	not suspended
}

allow if input.attributes.source.principal == data.operator

roles contains role if {
	some role in input.claims.roles
}

roles contains "workload" if startswith(input.attributes.source.principal, "spiffe://prod.example/")

suspended if input.claims.suspended

suspended if input.trust_score < 20

result := {"allow": true, "obligations": {"max_body": data.bodies[size], "log": ["x-tenant"]}} if {
	allow
	size := object.get(input.attributes.source, ["labels", "size"], "small")
}

result := {"allow": false, "reason_code": "suspended"} if {
	not allow
	suspended
}

result := {"allow": false} if {
	not allow
	not suspended
}
