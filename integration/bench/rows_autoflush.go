package main

import "entgo.io/ent/dialect"

// autoflushes are the families of the commits that send, beside commits that
// don't.
func (s *stage) autoflushes(sc scale) []family {
	beside := func(name, program, db string, writers, count int) family {
		plain := job{Program: "plain commit", Database: db, Count: count, Size: 300, Parallel: writers}
		ours := plain
		ours.Program = program
		return alone(name, "transactions/s", s.one(plain), s.one(ours))
	}
	return []family{
		beside(rowAutoflush32, "autoflush", dialect.Postgres, 32, sc.commits),
		beside(rowAutoflush1, "autoflush", dialect.Postgres, 1, sc.commits/4),
		beside(rowAsync, "autoflush, async", dialect.Postgres, 32, sc.commits),
		// What ent itself takes bounds what a commit of ent with a bus can reach.
		beside("commit of ent without a bus, 32 writers", "ent commit", dialect.Postgres, 32, sc.commits),
		beside("commit of ent without a bus, 1 writer", "ent commit", dialect.Postgres, 1, sc.commits/4),
		beside("autoflush, 32 writers: MariaDB", "autoflush", dialect.MySQL, 32, sc.commits),
	}
}
