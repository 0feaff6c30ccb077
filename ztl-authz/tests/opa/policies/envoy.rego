# The policy of OPA's tutorial for Envoy, in its sense: guests look at people, and admins also add some, but nobody under their own name.
# Two things come from elsewhere than there. The token is verified before a policy is asked, so its claims are in the input, and the text
# of it is not: `io.jwt.decode_verify` and `http.headers.authorization` have no place here. And no body is read before a request is
# judged: who is added stands in the path.
# entrypoint: envoy/authz/allow
package envoy.authz

import rego.v1

import input.attributes.request.http
import input.claims

default allow := false

allow if {
	in_time
	permitted
}

in_time if {
	seconds := input.now / 1000000000
	claims.nbf <= seconds
	seconds < claims.exp
}

permitted if {
	http.method == "GET"
	http.method in data.methods[claims.role]
	some pattern in ["/people", "/people/*"]
	glob.match(pattern, ["/"], http.path)
}

permitted if {
	http.method == "POST"
	http.method in data.methods[claims.role]
	input.parsed_path = ["people", name]
	lower(name) != lower(base64url.decode(claims.sub))
}
