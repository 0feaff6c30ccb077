# Who may read whose record of a small office: a person their own, a manager those of whoever they lead.
# entrypoint: office/api/allow
package office.api

import rego.v1

default allow := false

allow if {
	input.attributes.request.http.method == "GET"
	input.parsed_path = ["finance", "salary", person]
	person == user
}

allow if {
	input.attributes.request.http.method == "GET"
	input.parsed_path = ["finance", "salary", person]
	some led in data.leads[user]
	led == person
}

allow if {
	input.attributes.request.http.method in {"GET", "HEAD"}
	startswith(input.attributes.request.http.path, "/public/")
}

user := input.claims.sub
