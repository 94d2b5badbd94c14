package main

import (
	"maps"
	"slices"

	"entgo.io/ent/dialect"
)

// autoflushes are the families of the commits that send, beside commits that
// don't: with statements that stay prepared, and without.
func (s *stage) autoflushes(sc scale) []family {
	many := job{Database: dialect.Postgres, Count: sc.commits, Size: 300, Parallel: 32}
	single := many
	single.Count, single.Parallel = sc.commits/4, 1
	onMariaDB := many
	onMariaDB.Database = dialect.MySQL
	const (
		anew     = ": no statement cache"
		prepared = ": beside a prepared plain commit"
	)
	return []family{
		s.besidePlainCommit(many, map[string]string{
			"autoflush":        rowAutoflush32,
			"autoflush, async": rowAsync,
			// What one can write by hand is the limit that the library has, too;
			// and what ent takes is that of a commit of ent with a bus.
			"hand-written autoflush": "autoflush by hand, 32 writers",
			"ent commit":             "commit of ent without a bus, 32 writers",
		}, prepared),
		s.besidePlainCommit(single, map[string]string{
			"autoflush":              rowAutoflush1,
			"hand-written autoflush": "autoflush by hand, 1 writer",
			"ent commit":             "commit of ent without a bus, 1 writer",
		}, prepared),
		s.besideUnprepared(many, map[string]string{
			"autoflush":              rowAutoflush32 + anew,
			"autoflush, async":       rowAsync + anew,
			"hand-written autoflush": "autoflush by hand, 32 writers" + anew,
			"ent commit":             "commit of ent without a bus, 32 writers" + anew,
		}),
		s.besideUnprepared(single, map[string]string{
			"autoflush":              rowAutoflush1 + anew,
			"hand-written autoflush": "autoflush by hand, 1 writer" + anew,
		}),
		s.besidePlainCommit(onMariaDB, map[string]string{
			"autoflush": rowAutoflush32 + ": MariaDB",
		}, ""),
	}
}

// besidePlainCommit is the family of the programs beside a plain commit that keeps no
// statements prepared, as most programs don't, with the names of their rows. Those that do
// keep them prepared get a second row, beside a plain commit that does so too: prepared is
// what is added to its name. Empty, there is none.
func (s *stage) besidePlainCommit(j job, names map[string]string, prepared string) family {
	j.Program, j.Unprepared = "plain commit", true
	plain := s.one(j)
	j.Unprepared = false
	like := s.one(j)
	f := family{sides: []*side{plain}}
	if prepared != "" {
		f.sides = append(f.sides, like)
	}
	for _, program := range slices.Sorted(maps.Keys(names)) {
		j.Program = program
		ours := s.one(j)
		f.sides = append(f.sides, ours)
		f.rows = append(f.rows, speed(names[program], "transactions/s", plain, ours))
		if prepared != "" && program != "hand-written autoflush" {
			f.rows = append(f.rows, speed(names[program]+prepared, "transactions/s", like, ours))
		}
	}
	return f
}

// besideUnprepared is the family of the programs that keep no statements prepared, beside
// a plain commit that doesn't either.
func (s *stage) besideUnprepared(j job, names map[string]string) family {
	j.Program, j.Unprepared = "plain commit", true
	plain := s.one(j)
	f := family{sides: []*side{plain}}
	for _, program := range slices.Sorted(maps.Keys(names)) {
		j.Program = program
		ours := s.one(j)
		f.sides = append(f.sides, ours)
		f.rows = append(f.rows, speed(names[program], "transactions/s", plain, ours))
	}
	return f
}
