# Parts of the language that engines have told differently: undefined within `every`, negation, sets, strings, numbers.
# entrypoint: language/answers
package language

import rego.v1

answers := {
	"every_segment": every_segment,
	"none_bad": none_bad,
	"names": sort(names),
	"counts": counts,
	"texts": texts,
	"nested": nested,
	"else": chosen,
	"paths": paths,
	"numbers": numbers_of,
	"nets": nets,
}

default every_segment := false

every_segment if every v in [0, 1, 2] {
	input.segs[v] != ""
}

default none_bad := false

none_bad if {
	not bad
}

bad if {
	some seg in input.segs
	seg == "bad"
}

names := {lower(seg) | some seg in input.segs}

counts := {"segs": count(object.get(input, "segs", [])), "sum": sum([1, 2.5]), "max": max([0, count(names)])}

texts := [
	sprintf("%s/%d", ["a", 7]),
	trim_prefix("/v1/x", "/v1"),
	concat(",", sort([seg | some seg in names])),
	replace("a.b.c", ".", "-"),
	substring("hello", 1, 3),
	contains("abc", "bc"),
	indexof("abc", "c"),
	split("a/b/c", "/"),
	regex.match(`^[a-z]+$`, object.get(input, "word", "")),
	upper("abc"),
]

nested := {k: v | some k, v in {"a": {1, 2}, "b": {2, 3} | {4}}}

default chosen := "nothing"

chosen := "first" if {
	input.segs[0] == "a"
} else := "second" if {
	input.segs[1] == "b"
} else := "third" if {
	input.word
}

paths := sort([p | walk(object.get(input, "tree", {}), [p, 1])])

numbers_of := [7 % 3, 2 * 3.5, 10 / 4, abs(-3), ceil(1.2), numbers.range(3, 1), to_number("12"), bits.and(6, 3)]

nets := net.cidr_contains("10.0.0.0/8", object.get(input, "addr", "192.0.2.1"))
