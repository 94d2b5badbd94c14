package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// side is one of the things that rows compare.
type side struct {
	name    string
	prepare func(ctx context.Context) error // called once, before the first round; nil: nothing to do
	run     func(ctx context.Context) (Figure, error)
}

// one returns the side that runs the job.
func (s *stage) one(j job) *side {
	return &side{name: j.name(), run: func(ctx context.Context) (Figure, error) { return s.run(ctx, j) }}
}

// fastest returns the side that runs the fastest of the jobs: before the first
// round it tries each some times, in turn and with fewer messages, and chooses
// by the median.
func (s *stage) fastest(tries int, jobs ...job) *side {
	chosen := &side{}
	chosen.prepare = func(ctx context.Context) error {
		speeds := make([][]float64, len(jobs))
		for range tries {
			for i, j := range jobs {
				j.Count = max(j.Count/4, 1)
				f, err := s.run(ctx, j)
				if err != nil {
					return err
				}
				speeds[i] = append(speeds[i], perSecond(f))
			}
		}
		best := 0
		for i := range jobs {
			if spreadOf(speeds[i]).median > spreadOf(speeds[best]).median {
				best = i
			}
		}
		chosen.name = jobs[best].name()
		chosen.run = func(ctx context.Context) (Figure, error) { return s.run(ctx, jobs[best]) }
		return nil
	}
	return chosen
}

// reading is a value of what a side measures. Without a side it is a floor
// that isn't there.
type reading struct {
	of    *side
	value func(Figure) float64
}

func (r reading) values(figures map[*side][]Figure) (values []float64) {
	for _, f := range figures[r.of] {
		values = append(values, r.value(f))
	}
	return values
}

// row compares a reading of ours with one of its floor, round by round.
type row struct {
	name        string
	unit        string
	floor, ours reading
}

// speed is a row of things per second.
func speed(name, unit string, floor, ours *side) row {
	return row{name: name, unit: unit, floor: reading{floor, perSecond}, ours: reading{ours, perSecond}}
}

// family is a group of rows that share their sides. A round runs each side
// once, so that what a row compares was measured side by side. Every second round
// runs them in the reverse order, because a run may leave the servers work that slows
// the next one.
type family struct {
	sides []*side
	rows  []row
}

// alone is the family of one row.
func alone(name, unit string, floor, ours *side) family {
	return family{sides: []*side{floor, ours}, rows: []row{speed(name, unit, floor, ours)}}
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

// order returns the sides as a round runs them.
func (f family) order(round int) []*side {
	if round%2 == 0 {
		return f.sides
	}
	reverse := slices.Clone(f.sides)
	slices.Reverse(reverse)
	return reverse
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
		for _, s := range f.order(round) {
			figure, err := s.run(ctx)
			if err != nil {
				return nil, err
			}
			figures[s] = append(figures[s], figure)
			fmt.Fprintf(progress, "round %d of %d: %s: %s\n", round+1, rounds, s.name, figure)
		}
	}
	results := make([]result, len(f.rows))
	for i, r := range f.rows {
		results[i] = r.result(figures)
	}
	return results, nil
}

// result is what all rounds say of a row.
type result struct {
	row
	floor  *spread // nil without a floor
	ours   spread
	ratio  spread // of ours to the floor; without one, ours
	usages []usage
}

func (r row) result(figures map[*side][]Figure) result {
	ours := r.ours.values(figures)
	res := result{row: r, ours: spreadOf(ours), ratio: spreadOf(ours)}
	if r.floor.of != nil {
		floors, ratios := r.floor.values(figures), make([]float64, len(ours))
		for i := range ours {
			ratios[i] = ours[i] / floors[i]
		}
		floor := spreadOf(floors)
		res.floor, res.ratio = &floor, spreadOf(ratios)
	}
	for _, s := range []*side{r.floor.of, r.ours.of} {
		if s != nil {
			res.usages = append(res.usages, usageOf(s.name, figures[s]))
		}
	}
	return res
}

// usage is what a side takes, as the medians of its rounds.
type usage struct {
	side                     string
	client, database, broker float64 // µs of CPU time for each message
	memory                   float64 // MiB
}

func usageOf(side string, figures []Figure) usage {
	median := func(value func(Figure) float64) float64 {
		var values []float64
		for _, f := range figures {
			values = append(values, value(f))
		}
		return spreadOf(values).median
	}
	return usage{side: side, client: median(clientCPU), database: median(databaseCPU), broker: median(brokerCPU), memory: median(memory)}
}

// spread is the median and the range of some values.
type spread struct{ median, least, most float64 }

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{median: (sorted[(n-1)/2] + sorted[n/2]) / 2, least: sorted[0], most: sorted[n-1]}
}
