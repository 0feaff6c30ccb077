package main

import (
	"hash/fnv"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// embed counts each word of four letters or more into one of 64 dimensions.
func embed(text string) []float64 {
	vector := make([]float64, 64)
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	for _, word := range words {
		if utf8.RuneCountInString(word) > 3 {
			hash := fnv.New64a()
			_, _ = hash.Write([]byte(strings.ToLower(word)))
			vector[hash.Sum64()%64]++
		}
	}
	return vector
}

// cosine of the angle between two vectors, 0 where one of them has no length.
func cosine(one, two []float64) float64 {
	dot := func(one, two []float64) (sum float64) {
		for i := range min(len(one), len(two)) {
			sum += one[i] * two[i]
		}
		return
	}
	if lengths := math.Sqrt(dot(one, one) * dot(two, two)); lengths > 0 {
		return dot(one, two) / lengths
	}
	return 0
}
