package main

import "entgo.io/ent/dialect"

// scale is how much is measured.
type scale struct {
	rounds int
	tries  int // of each window, before the rounds

	messages int // of a flush
	backlog  int // of the flush that is measured longest
}

// The windows of which the floor takes the fastest.
func windows() []int { return []int{500, 1000, 5000} }

func (s *stage) rawBroker(sc scale, j job) *side {
	j.Program, j.Database = "raw broker", ""
	var jobs []job
	for _, w := range windows() {
		j.Window = w
		jobs = append(jobs, j)
	}
	return s.fastest("raw broker", sc.tries, jobs...)
}

// flushes are the families of the flushes to a broker.
func (s *stage) flushes(sc scale) []family {
	backlog := job{Database: dialect.Postgres, Count: sc.backlog, Size: 300, Parallel: 1, Burst: 1000}
	relay, one := backlog, backlog
	relay.Program, one.Program = "hand-written relay", "FlushMany"

	shorter := backlog
	shorter.Count = sc.messages
	two, quorum, ordered := shorter, shorter, shorter
	two.Program, two.Parallel = "FlushMany", 2
	quorum.Program, quorum.Parallel, quorum.Quorum = "FlushMany", 4, true
	ordered.Program = "FlushOrdered"

	alone := func(name string, j job) family {
		floor, ours := s.rawBroker(sc, j), s.one(name, j)
		return family{
			sides: []*side{floor, ours},
			rows:  []row{speed(name, "messages/s", floor, ours)},
		}
	}
	floor, relaySide, oneSide := s.rawBroker(sc, backlog), s.one("hand-written relay", relay), s.one(rowFlushMany1, one)
	return []family{
		{
			sides: []*side{floor, oneSide, relaySide},
			rows: []row{
				speed(rowFlushMany1, "messages/s", floor, oneSide),
				{name: rowClientCPU, unit: "µs", floor: reading{relaySide, clientCPU}, ours: reading{oneSide, clientCPU}},
			},
		},
		alone(rowFlushMany2, two),
		alone(rowFlushManyQuorum, quorum),
		alone(rowFlushOrdered, ordered),
	}
}

// speed is a row of things per second.
func speed(name, unit string, floor, ours *side) row {
	return row{name: name, unit: unit, floor: reading{floor, perSecond}, ours: reading{ours, perSecond}}
}
