package entsignal

import (
	"math"
	"math/rand/v2"
)

// places are where a flush looks for rows that can be sent. It begins with the
// last row, because bad rows are often the oldest. From both ends it goes on by
// distances that are doubled each time, which finds what is behind a few bad
// rows and what is behind thousands; in between, and then, it looks all over.
// Another flush has other places, and finds what this one has missed.
type places struct {
	n      int
	random *rand.Rand
	part   float64
}

// A place is where to look for one row.
type place struct {
	from     origin
	distance int     // from the first or the last row
	part     float64 // anywhere: of the way from the first row to the last, below 1
}

// An origin is from where a place is told.
type origin int

const (
	fromLast origin = iota
	fromFirst
	anywhere
)

// maxDoublings bounds the distance, since most databases count the rows that
// lie between: up to 16,384 of them.
const maxDoublings = 14

func newPlaces(random *rand.Rand) *places { return &places{random: random, part: random.Float64()} }

// next returns the next place.
func (p *places) next() place {
	i, from := p.n/3, origin(p.n%3)
	p.n++
	if from == anywhere || i > maxDoublings {
		// Steps of the golden ratio leave no large gap.
		_, p.part = math.Modf(p.part + (math.Sqrt(5)-1)/2)
		return place{from: anywhere, part: p.part}
	}
	if i == 0 {
		return place{from: from}
	}
	most := 1 << i
	return place{from: from, distance: most/2 + p.random.IntN(most/2)}
}

// of returns the index of the place in a list, or -1 if it lies outside.
func (p place) of(length int) int {
	switch p.from {
	case fromFirst:
		if p.distance < length {
			return p.distance
		}
		return -1
	case fromLast:
		return max(-1, length-1-p.distance)
	default:
		return min(int(p.part*float64(length)), length-1)
	}
}
