package main

import (
	"fmt"

	"entgo.io/ent/dialect"
)

// rawBroker is the side of the raw broker, with the window that is the fastest.
func (s *stage) rawBroker(sc scale, j job) *side {
	j.Program, j.Database, j.Burst = "raw broker", "", 0
	var jobs []job
	for _, w := range sc.windows {
		j.Window = w
		jobs = append(jobs, j)
	}
	return s.fastest(sc.tries, jobs...)
}

// flushes are the families of the flushes to a broker.
func (s *stage) flushes(sc scale) []family {
	backlog := job{Program: "FlushMany", Database: dialect.Postgres, Count: sc.backlog, Size: 300, Parallel: 1, Burst: sc.burst}
	shorter := backlog
	shorter.Count = sc.messages
	two, quorum, ordered, relay := shorter, shorter, shorter, shorter
	two.Parallel, two.Count = 2, sc.backlog/2
	quorum.Count, quorum.Parallel, quorum.Quorum = sc.quorum, 4, true
	ordered.Program = "FlushOrdered"
	relay.Program = "hand-written relay"

	broker, byHand, one := s.rawBroker(sc, backlog), s.one(relay), s.one(backlog)
	return []family{
		{
			sides: []*side{broker, one, byHand},
			rows: []row{
				speed(rowFlushMany1, messages, broker, one),
				{name: rowClientCPU, unit: "µs", floor: reading{byHand, clientCPU}, ours: reading{one, clientCPU}},
				speed("FlushMany beside the hand-written relay, 1 worker", messages, byHand, one),
			},
		},
		s.besideBroker(sc, rowFlushMany2, two),
		s.besideBroker(sc, rowFlushManyQuorum, quorum),
		s.besideBroker(sc, rowFlushOrdered, ordered),
	}
}

// variants are flushes from other databases, to other queues, of other bodies.
func (s *stage) variants(sc scale) (all []family) {
	for _, db := range []string{dialect.Postgres, dialect.MySQL} {
		for _, quorum := range []bool{false, true} {
			for _, size := range []int{300, 4096} {
				if sc.fewer && quorum != (size == 4096) {
					continue
				}
				name := fmt.Sprintf("FlushMany, burst 1000, 2 workers: %s, %s queue, %d bytes", databaseTitle(db), queueName(quorum), size)
				all = append(all, s.besideBroker(sc, name, job{
					Program: "FlushMany", Database: db, Quorum: quorum, Size: size, Count: sc.variant, Parallel: 2, Burst: sc.burst,
				}))
			}
		}
	}
	return all
}

// besideBroker is the family of a flush beside a raw broker with as many
// connections as the flush has workers.
func (s *stage) besideBroker(sc scale, name string, j job) family {
	return alone(name, messages, s.rawBroker(sc, j), s.one(j))
}

const messages = "messages/s"
