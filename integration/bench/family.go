package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// side is one of two things that a row compares.
type side struct {
	name    string
	prepare func(ctx context.Context) error // called once, before the first round; nil: nothing to do
	run     func(ctx context.Context) (Figure, error)
}

// row compares a reading of ours with the same of the floor, round by round.
type row struct {
	name        string
	unit        string
	floor, ours reading
}

// reading is a value of what a side measures.
type reading struct {
	of    *side
	value func(Figure) float64
}

// family is a group of rows that share their sides. A round runs each side
// once, in order, so that what a row compares was measured side by side.
type family struct {
	sides []*side
	rows  []row
}

// result is what all rounds say of a row.
type result struct {
	row
	floors, ours, ratios spread
}

// spread is the median and the range of some values.
type spread struct{ median, least, most float64 }

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{median: (sorted[(n-1)/2] + sorted[n/2]) / 2, least: sorted[0], most: sorted[n-1]}
}

// measure runs the rounds of a family and returns the results of its rows.
func (f family) measure(ctx context.Context, rounds int, progress io.Writer) ([]result, error) {
	for _, s := range f.sides {
		if s.prepare == nil {
			continue
		}
		if err := s.prepare(ctx); err != nil {
			return nil, err
		}
	}
	figures := make(map[*side][]Figure)
	for round := range rounds {
		for _, s := range f.sides {
			figure, err := s.run(ctx)
			if err != nil {
				return nil, err
			}
			figures[s] = append(figures[s], figure)
			fmt.Fprintf(progress, "round %d of %d: %s: %s\n", round+1, rounds, s.name, figure)
		}
	}
	results := make([]result, 0, len(f.rows))
	for _, r := range f.rows {
		var floors, ours, ratios []float64
		for round := range rounds {
			floor, our := r.floor.value(figures[r.floor.of][round]), r.ours.value(figures[r.ours.of][round])
			floors, ours, ratios = append(floors, floor), append(ours, our), append(ratios, our/floor)
		}
		results = append(results, result{row: r, floors: spreadOf(floors), ours: spreadOf(ours), ratios: spreadOf(ratios)})
	}
	return results, nil
}

// fastest returns a side that tries each of the jobs some times before the
// first round, and in the rounds runs the one that was fastest by its median.
func (s *stage) fastest(name string, tries int, jobs ...job) *side {
	var chosen job
	prepare := func(ctx context.Context) error {
		best := 0.0
		for _, j := range jobs {
			var speeds []float64
			short := j
			short.Count = max(j.Count/4, 1)
			for range tries {
				f, err := s.run(ctx, short)
				if err != nil {
					return err
				}
				speeds = append(speeds, perSecond(f))
			}
			if speed := spreadOf(speeds).median; speed > best {
				best, chosen = speed, j
			}
		}
		return nil
	}
	return &side{name: name, prepare: prepare, run: func(ctx context.Context) (Figure, error) {
		return s.run(ctx, chosen)
	}}
}

// one returns the side that runs the job.
func (s *stage) one(name string, j job) *side {
	return &side{name: name, run: func(ctx context.Context) (Figure, error) { return s.run(ctx, j) }}
}

// only returns the family with only the rows whose name matches, and the sides
// that they need.
func (f family) only(match *regexp.Regexp) family {
	var some family
	needed := make(map[*side]bool)
	for _, r := range f.rows {
		if match.MatchString(r.name) {
			some.rows = append(some.rows, r)
			needed[r.floor.of], needed[r.ours.of] = true, true
		}
	}
	for _, s := range f.sides {
		if needed[s] {
			some.sides = append(some.sides, s)
		}
	}
	return some
}
