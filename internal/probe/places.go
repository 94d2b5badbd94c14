package probe

import (
	"math"
	"math/rand/v2"
)

// Places are where a flush looks for rows that can be sent. It begins with the last
// row, because bad rows are often the oldest. From both ends it continues with
// distances that double each time, which finds what is behind a few bad rows and
// what is behind thousands. In between, and afterwards, it looks at random places.
// Another flush has other places, and finds what this one has missed.
type Places struct {
	n      int
	random *rand.Rand
	part   float64
}

// A Place is where to look for one row.
type Place struct {
	From     Origin
	Distance int     // from the first or the last row
	Part     float64 // anywhere: of the way from the first row to the last, below 1
}

// An Origin is the point from which a place is measured.
type Origin int

// The origins.
const (
	FromLast Origin = iota
	FromFirst
	Anywhere
)

// maxDoublings limits the distance to 16,384 rows, because most databases count the
// rows in between.
const maxDoublings = 14

// NewPlaces returns places in a random order.
func NewPlaces() *Places {
	return newPlaces(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))) //nolint:gosec // no secret
}

func newPlaces(random *rand.Rand) *Places { return &Places{random: random, part: random.Float64()} }

// Next returns the next place.
func (p *Places) Next() Place {
	i, from := p.n/3, Origin(p.n%3)
	p.n++
	if from == Anywhere || i > maxDoublings {
		// Steps by the golden ratio leave no large gap.
		_, p.part = math.Modf(p.part + (math.Sqrt(5)-1)/2)
		return Place{From: Anywhere, Part: p.part}
	}
	if i == 0 {
		return Place{From: from}
	}
	most := 1 << i
	return Place{From: from, Distance: most/2 + p.random.IntN(most/2)}
}

// Of returns the index of the place in a list, or -1 if it lies outside.
func (p Place) Of(length int) int {
	switch p.From {
	case FromFirst:
		if p.Distance < length {
			return p.Distance
		}
		return -1
	case FromLast:
		return max(-1, length-1-p.Distance)
	default:
		return min(int(p.Part*float64(length)), length-1)
	}
}
