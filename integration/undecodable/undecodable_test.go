// Package undecodable has tests on signals whose rows ent can't decode, among
// healthy ones.
package undecodable_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/undecodable/ent"
)

const (
	asWanted = `["a pen"]`
	// ofAnother is what another program wrote.
	ofAnother = `{"pen": 1}`
)

// ways are the ways by which parcels leave that are not in order.
var ways = map[string]func(*store, context.Context) (int, error){
	"flush": func(s *store, ctx context.Context) (int, error) { return s.ParcelPacked.Flush(ctx, entsignal.Wait(0)) },
	"flush 1": func(s *store, ctx context.Context) (int, error) {
		return s.ParcelPacked.Flush(ctx, entsignal.Wait(0), entsignal.Burst(1))
	},
	"flushmany": func(s *store, ctx context.Context) (int, error) { return s.ParcelPacked.FlushMany(ctx) },
	"flushmany 1": func(s *store, ctx context.Context) (int, error) {
		return s.ParcelPacked.FlushMany(ctx, entsignal.Burst(1))
	},
	"some workers": func(s *store, ctx context.Context) (int, error) {
		return s.ParcelPacked.FlushMany(ctx, entsignal.Workers(3), entsignal.Burst(4))
	},
	"send": func(s *store, ctx context.Context) (int, error) {
		var rows []*ent.ParcelPacked
		for _, id := range s.ParcelPacked.Query().IDsX(ctx) {
			rows = append(rows, &ent.ParcelPacked{ID: id})
		}
		return s.ParcelPacked.Send(ctx, rows...)
	},
}

func TestRowThatCannotBeDecodedIsDeadAndTheOthersLeave(t *testing.T) {
	t.Parallel()
	for way, send := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				s := open(t, db)
				s.insert(t, "parcel_packeds", 20, 3, 4, 11, 20)
				n, err := send(s, ctx(t))
				for _, id := range []string{"3", "4", "11"} {
					assertUndecodable(t, err, id+" (attempt 1 of 3, dead): the row can't be decoded: ")
				}
				assert.ErrorContains(t, err, "cannot unmarshal object into Go value of type []string")
				assert.NotContains(t, err.Error(), "pen")
				assert.Equal(t, 16, n)
				assert.ElementsMatch(t, numbers(20, 3, 4, 11, 20), s.parcels.Keys())
				assert.Equal(t, entsignal.PendingCount{Name: "ParcelPacked", Count: 4, Dead: 4}, s.pending(t, "ParcelPacked"))
				failed := s.failed(t, "ParcelPacked")
				require.Len(t, failed, 4)
				assert.Equal(t, "3", failed[0].ID)
				assert.True(t, failed[0].Dead)
				assert.Equal(t, 1, failed[0].Attempts)
				assert.Contains(t, failed[0].Error, "the row can't be decoded: ")

				if way != "send" {
					n, err = send(s, ctx(t))
					require.NoError(t, err, "what is dead is left out")
					assert.Zero(t, n)
				}
				n, err = s.bus.Discard(ctx(t), "ParcelPacked", "4", "11", "999")
				require.NoError(t, err)
				assert.Equal(t, 2, n)
				n, err = s.bus.Retry(ctx(t), "ParcelPacked", "3", "20")
				require.NoError(t, err)
				assert.Equal(t, 2, n)
				s.mend(t, "parcel_packeds")
				n, err = send(s, ctx(t))
				require.NoError(t, err)
				assert.Equal(t, 2, n)
				assert.Zero(t, s.pending(t, "ParcelPacked").Count)
			})
		})
	}
}

func TestRowThatCannotBeDecodedDoesNotHoldUpTheOthersOfItsCommit(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		tx, err := s.Tx(ctx(t))
		require.NoError(t, err)
		for i := range 5 {
			tx.ParcelPacked.Create().SetItems([]string{"a pen"}).SetNumber(i + 1).ExecX(ctx(t))
		}
		tx.ParcelPacked.Update().Where(func(s *entsql.Selector) { s.Where(entsql.EQ(s.C("number"), 2)) }).Modify(func(u *entsql.UpdateBuilder) {
			u.Set("items", entsql.Raw("'"+ofAnother+"'"))
		}).ExecX(ctx(t))
		require.NoError(t, tx.Commit())
		assertUndecodable(t, <-s.errors, "2 (attempt 1 of 3, dead)")
		assert.Equal(t, numbers(5, 2), s.parcels.Keys())
		assert.Equal(t, 1, s.pending(t, "ParcelPacked").Dead)
	})
}

// Commits that come while a batch is sent leave together, as the next one.
func TestRowThatCannotBeDecodedInASharedBatchIsToldToItsOwnCommit(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		sending, goOn := make(chan struct{}), make(chan struct{})
		s.parcels.Before(func(_ context.Context, parcels []*ent.ParcelPacked) error {
			if parcels[0].Number == 1 {
				close(sending)
				<-goOn
			}
			return nil
		})
		commit := func(number int, items string) {
			tx, err := s.Tx(ctx(t))
			if !assert.NoError(t, err) {
				return
			}
			row, err := tx.ParcelPacked.Create().SetItems([]string{"a pen"}).SetNumber(number).Save(ctx(t))
			if assert.NoError(t, err) {
				assert.NoError(t, tx.ParcelPacked.Update().Where(func(s *entsql.Selector) { s.Where(entsql.EQ(s.C("id"), row.ID)) }).Modify(func(u *entsql.UpdateBuilder) { u.Set("items", entsql.Raw("'"+items+"'")) }).Exec(ctx(t)))
			}
			assert.NoError(t, tx.Commit())
		}
		var commits sync.WaitGroup
		commits.Go(func() { commit(1, asWanted) })
		<-sending
		commits.Go(func() { commit(2, ofAnother) })
		commits.Go(func() { commit(3, asWanted) })
		commits.Go(func() { commit(4, ofAnother) })
		close(goOn)
		commits.Wait()
		assert.ElementsMatch(t, []int{1, 3}, s.parcels.Keys())
		require.Len(t, s.errors, 2)
		ids := make(map[string]bool)
		for _, f := range s.failed(t, "ParcelPacked") {
			assert.Equal(t, 1, f.Attempts)
			ids[f.ID] = true
		}
		require.Len(t, ids, 2)
		for range 2 {
			err := <-s.errors
			require.ErrorAs(t, err, new(*entsignal.DecodeError))
			told := 0
			for id := range ids {
				if strings.Contains(err.Error(), "id "+id+" ") {
					told++
				}
			}
			assert.Equal(t, 1, told, "%v", err)
		}
	})
}

func TestWithoutRetryARowThatCannotBeDecodedIsToldByEachFlushAndCanBeDiscarded(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.insert(t, "note_pinneds", 10, 5, 7)
		for _, want := range []int{8, 0} {
			n, err := s.NotePinned.FlushMany(ctx(t))
			assertUndecodable(t, err, "5: the row can't be decoded: ")
			assertUndecodable(t, err, "7: ")
			assert.Equal(t, want, n)
		}
		assert.Equal(t, numbers(10, 5, 7), s.notes.Keys())
		_, err := s.bus.Failed(ctx(t), entsignal.Only("NotePinned"))
		require.ErrorIs(t, err, entsignal.ErrNoRetry)

		s.insert(t, "note_pinneds", 1)
		n, err := s.bus.Discard(ctx(t), "NotePinned", "5", "11")
		require.ErrorIs(t, err, entsignal.ErrNoRetry, "11 can be decoded")
		assert.Equal(t, 1, n)
		n, err = s.bus.Discard(ctx(t), "NotePinned", "7", "7")
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		n, err = s.NotePinned.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}

// Nobody's sender refuses them, so no number of them ends a flush.
func TestManyRowsThatCannotBeDecodedDoNotKeepTheOnesBehindThem(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		for _, burst := range []int{1, 7, 100} {
			s.insert(t, "note_pinneds", 300, numbers(250)...)
			n, err := s.NotePinned.FlushMany(ctx(t), entsignal.Burst(burst))
			require.ErrorAs(t, err, new(*entsignal.DecodeError))
			assert.Equal(t, 50, n, "burst %d", burst)
			s.exec(t, "DELETE FROM note_pinneds")
			s.insert(t, "note_pinneds", 300, numbers(250)...)
			n, err = s.NotePinned.Flush(ctx(t), entsignal.Burst(burst), entsignal.Wait(0))
			require.ErrorAs(t, err, new(*entsignal.DecodeError))
			assert.Equal(t, 50, n, "burst %d", burst)
			s.exec(t, "DELETE FROM note_pinneds")
		}
	})
}

func TestRowThatCannotBeDecodedBlocksItsOrderUntilItIsSkipped(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.insert(t, "pallet_moveds", 10, 7)
		n, err := s.PalletMoved.FlushOrdered(ctx(t))
		assertUndecodable(t, err, "7 (attempt 1 of 3, dead): the row can't be decoded: ")
		assert.Equal(t, 3, n)
		assert.Equal(t, []int{10, 9, 8}, s.pallets.Keys(), "all before it leaves, and nothing behind it")
		assert.Equal(t, entsignal.PendingCount{Name: "PalletMoved", Count: 7, Dead: 1}, s.pending(t, "PalletMoved"))

		var blocked *entsignal.BlockedError
		n, err = s.PalletMoved.FlushOrdered(ctx(t))
		require.ErrorAs(t, err, &blocked)
		assert.Equal(t, "7", blocked.ID)
		assert.Contains(t, blocked.Reason, "the row can't be decoded")
		assert.Zero(t, n)

		s.insert(t, "pallet_moveds", 1) // number 1 again, the last in order
		n, err = s.PalletMoved.FlushOrdered(ctx(t), entsignal.SkipDead())
		require.NoError(t, err)
		assert.Equal(t, 7, n)
		assert.Equal(t, []int{10, 9, 8, 6, 5, 4, 3, 2, 1, 1}, s.pallets.Keys())
		s.mend(t, "pallet_moveds")
		_, err = s.bus.RetryAll(ctx(t), "PalletMoved")
		require.NoError(t, err)
		n, err = s.PalletMoved.FlushOrdered(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}

func TestKeyWithARowThatCannotBeDecodedWaitsAlone(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				s := open(t, db)
				s.insert(t, "crate_moveds", 12, 5) // of dock 2
				n, err := s.CrateMoved.FlushOrdered(ctx(t), entsignal.Workers(workers))
				assertUndecodable(t, err, "5: the row can't be decoded: ")
				assert.ErrorContains(t, err, "key dock 2: ")
				assert.Equal(t, 9, n)
				assert.ElementsMatch(t, numbers(12, 5, 8, 11), s.crates.Keys())
				n, err = s.bus.Discard(ctx(t), "CrateMoved", "5")
				require.NoError(t, err)
				assert.Equal(t, 1, n)
				n, err = s.CrateMoved.FlushOrdered(ctx(t), entsignal.Workers(workers))
				require.NoError(t, err)
				assert.Equal(t, 2, n)
			})
		})
	}
}

// The key is a part of the row.
func TestKeyThatCannotBeDecodedWaitsAlone(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.insert(t, "crate_moveds", 9)
		s.exec(t, "UPDATE crate_moveds SET dock = 'broken' WHERE dock = 'dock 1'")
		n, err := s.CrateMoved.FlushOrdered(ctx(t))
		assertUndecodable(t, err, "1: ")
		assert.ErrorContains(t, err, "the seal is broken")
		assert.Equal(t, 6, n)
	})
}

func TestRowsThatAreLoadedWithASignalAreAPartOfIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db, func(senders *ent.SignalSenders) {
			senders.LabelPrintedWith = func(q *ent.LabelPrintedQuery) { q.WithPrinter() }
		})
		s.exec(t, "INSERT INTO printers (id, trays) VALUES (1, '"+asWanted+"'), (2, '"+ofAnother+"')")
		for i := 1; i <= 10; i++ {
			printer, words := 1, asWanted
			if i == 4 {
				printer = 2
			}
			if i == 6 {
				words = ofAnother
			}
			s.exec(t, "INSERT INTO label_printeds (id, number, printer_labels) VALUES (?, ?, ?)", i, i, printer)
			line := s.Line.Create().SetWords([]string{"a"}).SetLabelID(i).SaveX(ctx(t))
			s.Line.Update().Where(func(s *entsql.Selector) { s.Where(entsql.EQ(s.C("id"), line.ID)) }).Modify(func(u *entsql.UpdateBuilder) { u.Set("words", entsql.Raw("'"+words+"'")) }).ExecX(ctx(t))
		}
		n, err := s.LabelPrinted.FlushMany(ctx(t))
		assertUndecodable(t, err, "4 (attempt 1 of 3, dead)")
		assertUndecodable(t, err, "6 (attempt 1 of 3, dead)")
		assert.Equal(t, 8, n)
		assert.Equal(t, numbers(10, 4, 6), s.labels.Keys())
	})
}

// What isn't about the row condemns no row.
func TestErrorsThatAreNotAboutARowCondemnNone(t *testing.T) {
	t.Parallel()
	refused := fmt.Errorf("refused")
	for what, with := range map[string]func(*ent.LabelPrintedQuery){
		"the function panics": func(*ent.LabelPrintedQuery) { panic(refused) },
		"an interceptor before": func(q *ent.LabelPrintedQuery) {
			q.WithLines(func(q *ent.LineQuery) {
				q.Where(func(s *entsql.Selector) { s.AddError(refused) })
			})
		},
		"the client's interceptor": func(q *ent.LabelPrintedQuery) { q.WithPrinter() },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				s := open(t, db, func(senders *ent.SignalSenders) { senders.LabelPrintedWith = with })
				s.Printer.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
					return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
						if _, err := next.Query(ctx, q); err != nil {
							return nil, err
						}
						return nil, refused
					})
				}))
				s.exec(t, "INSERT INTO printers (id, trays) VALUES (1, '"+asWanted+"')")
				for i := 1; i <= 4; i++ {
					s.exec(t, "INSERT INTO label_printeds (id, number, printer_labels) VALUES (?, ?, 1)", i, i)
				}
				for _, burst := range []int{1, 100} {
					n, err := s.LabelPrinted.FlushMany(ctx(t), entsignal.Burst(burst))
					require.ErrorContains(t, err, "refused")
					assert.False(t, entsignal.IsPermanent(err))
					assert.Zero(t, n)
				}
				n, err := s.bus.Discard(ctx(t), "LabelPrinted", "1")
				require.NoError(t, err)
				assert.Zero(t, n)
				assert.Equal(t, entsignal.PendingCount{Name: "LabelPrinted", Count: 4}, s.pending(t, "LabelPrinted"))
			})
		})
	}
}

func TestEachFieldThatCannotBeReadCondemnsItsRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		columns := [][2]string{
			{"seal", "'broken'"},
			{"seal", "'panics'"},
			{"stamp", "'panics'"},
			{"weight", "'99999999999999999999'"},
			{"token", "'secret'"},
		}
		switch db.Dialect {
		case dialect.Postgres:
			columns = append(columns, [2]string{"sealed_at", "'infinity'"})
		case dialect.SQLite:
			columns = append(columns, [2]string{"sealed_at", "'yesterday'"}, [2]string{"number", "'secret'"})
		}
		for range 3 {
			s.exec(t, "INSERT INTO box_sealeds (number, seal, stamp, weight, sealed_at, token) VALUES (1, 'a', 'a', '1', '2026-01-01 00:00:00', '"+uuid.NewString()+"')")
		}
		for i, c := range columns {
			s.exec(t, "INSERT INTO box_sealeds (number, seal, stamp, weight, sealed_at, token) VALUES (2, 'a', 'a', '1', '2026-01-01 00:00:00', '"+uuid.NewString()+"')")
			s.exec(t, fmt.Sprintf("UPDATE box_sealeds SET %s = %s WHERE id = %d", c[0], c[1], 4+i))
		}
		n, err := s.BoxSealed.FlushMany(ctx(t))
		require.ErrorAs(t, err, new(*entsignal.DecodeError))
		assert.Equal(t, 3, n)
		failed := s.failed(t, "BoxSealed")
		assert.Len(t, failed, len(columns))
		for _, f := range failed {
			t.Log(f.ID, f.Error)
			assert.True(t, f.Dead)
			assert.NotContains(t, f.Error, "99999")
			assert.NotContains(t, f.Error, "secret")
		}
		assert.Equal(t, []int{1, 1, 1}, s.boxes.Keys())
	})
}

func TestIDThatCannotBeDecodedIsShownAndDiscardedAsItIs(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		for i := range 3 {
			s.exec(t, "INSERT INTO bin_markeds (id, number) VALUES (?, ?)", uuid.NewString(), i+1)
		}
		for _, id := range []string{"!first", "zz last"} {
			s.exec(t, "INSERT INTO bin_markeds (id, number) VALUES (?, 9)", id)
		}
		n, err := s.BinMarked.FlushMany(ctx(t), entsignal.Burst(2))
		assertUndecodable(t, err, `"zz last" (attempt 1 of 3, dead)`)
		assert.Equal(t, 3, n)
		require.Len(t, s.failed(t, "BinMarked"), 2)
		n, err = s.bus.Discard(ctx(t), "BinMarked", "!first", "zz last")
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		_, err = s.bus.Discard(ctx(t), "BinMarked", "!first")
		require.ErrorAs(t, err, new(*entsignal.InvalidIDError))
	})
}

func TestTimesWithoutParseTimeCondemnTheRowsAndARetryWithItSendsThem(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		for range 3 {
			s.exec(t, "INSERT INTO box_sealeds (number, seal, stamp, weight, sealed_at, token) VALUES (1, 'a', 'a', '1', '2026-01-01 00:00:00', '"+uuid.NewString()+"')")
		}
		without := *db
		without.DSN = strings.Replace(db.DSN, "parseTime=true", "parseTime=false", 1)
		require.NotEqual(t, db.DSN, without.DSN)
		blind := openAgain(t, &without)
		for range 2 {
			n, _ := blind.BoxSealed.FlushMany(ctx(t))
			assert.Zero(t, n)
		}
		failed := blind.failed(t, "BoxSealed")
		require.Len(t, failed, 3)
		for _, f := range failed {
			assert.True(t, f.Dead)
			assert.Equal(t, 1, f.Attempts)
			require.NotNil(t, f.FailedAt)
			assert.WithinDuration(t, time.Now(), *f.FailedAt, time.Minute)
		}
		n, err := blind.bus.RetryAll(ctx(t), "BoxSealed")
		require.NoError(t, err)
		assert.Equal(t, 3, n)
		n, err = s.BoxSealed.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 3, n)
	})
}
