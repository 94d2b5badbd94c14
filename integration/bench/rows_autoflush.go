package main

import "entgo.io/ent/dialect"

// autoflushes are the families of the commits that send, beside commits that
// don't.
func (s *stage) autoflushes(sc scale) []family {
	many := job{Database: dialect.Postgres, Count: sc.commits, Size: 300, Parallel: 32}
	single := many
	single.Count, single.Parallel = sc.commits/4, 1
	onMariaDB := many
	onMariaDB.Database = dialect.MySQL
	beside := func(name, floor, ours string, j job) family {
		a, b := j, j
		a.Program, b.Program = floor, ours
		a.Unprepared = false
		return alone(name, "transactions/s", s.one(a), s.one(b))
	}
	unprepared := func(j job) job {
		j.Unprepared = true
		return j
	}
	return []family{
		beside(rowAutoflush32, plain, "autoflush", many),
		beside(rowAutoflush1, plain, "autoflush", single),
		beside(rowAsync, plain, "autoflush, async", many),
		// What one can write by hand is the limit that the library has, too.
		beside("autoflush by hand, 32 writers", plain, byHand, many),
		beside("autoflush by hand, 1 writer", plain, byHand, single),
		// What ent itself takes bounds what a commit of ent with a bus can reach.
		beside("commit of ent without a bus, 32 writers", plain, "ent commit", many),
		beside("commit of ent without a bus, 1 writer", plain, "ent commit", single),
		// The same without what the plain commit hasn't either.
		beside("autoflush, 32 writers: no statement cache", plain, "autoflush", unprepared(many)),
		beside("autoflush, 1 writer: no statement cache", plain, "autoflush", unprepared(single)),
		beside("autoflush async, 32 writers: no statement cache", plain, "autoflush, async", unprepared(many)),
		beside("commit of ent without a bus, 32 writers: no statement cache", plain, "ent commit", unprepared(many)),
		beside("autoflush, 32 writers: MariaDB", plain, "autoflush", onMariaDB),
	}
}

const (
	plain  = "plain commit"
	byHand = "hand-written autoflush"
)
