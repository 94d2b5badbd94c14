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
	const anew = ": no statement cache"
	return []family{
		s.besidePlainCommit(many, false, map[string]string{
			"autoflush":        rowAutoflush32,
			"autoflush, async": rowAsync,
			// What one can write by hand is the limit that the library has, too;
			// and what ent takes is that of a commit of ent with a bus.
			"hand-written autoflush": "autoflush by hand, 32 writers",
			"ent commit":             "commit of ent without a bus, 32 writers",
		}),
		s.besidePlainCommit(single, false, map[string]string{
			"autoflush":              rowAutoflush1,
			"hand-written autoflush": "autoflush by hand, 1 writer",
			"ent commit":             "commit of ent without a bus, 1 writer",
		}),
		s.besidePlainCommit(many, true, map[string]string{
			"autoflush":              rowAutoflush32 + anew,
			"autoflush, async":       rowAsync + anew,
			"hand-written autoflush": "autoflush by hand, 32 writers" + anew,
			"ent commit":             "commit of ent without a bus, 32 writers" + anew,
		}),
		s.besidePlainCommit(single, true, map[string]string{
			"autoflush":              rowAutoflush1 + anew,
			"hand-written autoflush": "autoflush by hand, 1 writer" + anew,
		}),
		s.besidePlainCommit(onMariaDB, false, map[string]string{
			"autoflush": rowAutoflush32 + ": MariaDB",
		}),
	}
}

// besidePlainCommit is the family of the programs beside a plain commit, with
// the names of their rows. The plain commit keeps no statements prepared.
func (s *stage) besidePlainCommit(j job, unprepared bool, names map[string]string) family {
	j.Program = "plain commit"
	plain := s.one(j)
	f := family{sides: []*side{plain}}
	j.Unprepared = unprepared
	for _, program := range slices.Sorted(maps.Keys(names)) {
		j.Program = program
		ours := s.one(j)
		f.sides = append(f.sides, ours)
		f.rows = append(f.rows, speed(names[program], "transactions/s", plain, ours))
	}
	return f
}
