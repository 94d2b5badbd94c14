package shop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// minutes returns a context for what takes its time.
func minutes(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	return c
}

// refuse makes the sender fail for each batch with a bad signal, and not say
// which one it is. It returns the number of calls.
func (s *shop) refuse(bad func(number int) bool) *atomic.Int32 {
	var calls atomic.Int32
	refused := errors.New("refused")
	s.audits.Before(func(_ context.Context, signals []*ent.AuditLogged) error {
		calls.Add(1)
		if slices.ContainsFunc(signals, func(a *ent.AuditLogged) bool { return bad(a.Number) }) {
			return refused
		}
		return nil
	})
	return &calls
}

func TestHealthySignalsLeaveWhateverIsAroundThem(t *testing.T) {
	t.Parallel()
	between := func(from, to int) func(int) bool { return func(n int) bool { return n >= from && n <= to } }
	for _, c := range []struct {
		name string
		n    int
		bad  func(int) bool
	}{
		{"3 at the head", 8, between(1, 3)},
		{"100 at the head", 105, between(1, 100)},
		{"200 in the middle", 400, between(101, 300)},
		{"all but the last one", 300, between(1, 299)},
		{"all but every tenth", 300, func(n int) bool { return n%10 != 7 }},
		{"several clusters", 400, func(n int) bool { return n/60%2 == 0 }},
	} {
		for _, burst := range []int{1, 100} {
			for name, flush := range map[string]func(s *shop, ctx context.Context, opts ...entsignal.FlushOption) (int, error){
				"flush": flushes["flush"],
				"flushmany": func(s *shop, ctx context.Context, opts ...entsignal.FlushOption) (int, error) {
					return s.bus.FlushMany(ctx, append(opts, entsignal.Only("AuditLogged"), entsignal.Workers(4))...)
				},
			} {
				t.Run(fmt.Sprintf("%s, burst %d, %s", c.name, burst, name), func(t *testing.T) {
					t.Parallel()
					testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
						s := open(t, db)
						s.audit(t, c.n)
						s.refuse(c.bad)
						for range 2 {
							_, err := flush(s, minutes(t), entsignal.Burst(burst))
							require.ErrorContains(t, err, "refused")
						}
						assert.Equal(t, slices.DeleteFunc(numbers(c.n), c.bad), slices.Sorted(slices.Values(s.audits.Keys())))
					})
				})
			}
		}
	}
}

func TestTenThousandBadSignalsAtTheHeadHoldUpNothing(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 10020)
		s.refuse(func(n int) bool { return n <= 10000 })
		for range 2 {
			_, err := s.AuditLogged.FlushMany(minutes(t), entsignal.Burst(100))
			require.ErrorContains(t, err, "refused")
		}
		assert.Equal(t, numbers(10020)[10000:], slices.Sorted(slices.Values(s.audits.Keys())))
	})
}

func TestSenderThatRefusesEverythingIsNotCalledForEachSignal(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"flush", "flushmany"} {
		for _, burst := range []int{1, 100} {
			t.Run(fmt.Sprintf("%s, burst %d", name, burst), func(t *testing.T) {
				t.Parallel()
				testdb.Each(t, func(t *testing.T, db *testdb.DB) {
					s := open(t, db)
					s.audit(t, 5000)
					calls := s.refuse(func(int) bool { return true })
					_, err := flushes[name](s, minutes(t), entsignal.Burst(burst))
					require.ErrorContains(t, err, "refused")
					require.ErrorContains(t, err, "given up: nothing was sent in ")
					assert.LessOrEqual(t, calls.Load(), int32(110))
					assert.Equal(t, 5000, s.pending(t, "AuditLogged"))
				})
			})
		}
	}
}

// Ids that are no numbers are probed too.
func TestSignalsWithIDsOfTheClientLeaveFromBehindBadOnes(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.bus.SetAutoFlush(false)
		const n = 400
		s.TicketOpened.MapCreateBulk(make([]struct{}, n), func(c *ent.TicketOpenedCreate, i int) {
			c.SetID(fmt.Sprintf("T%06d", i+1)).SetNumber(i + 1)
		}).ExecX(ctx(t))
		entsignaltest.FailWhere(s.outbox, func(o *ent.TicketOpened) error {
			if o.Number <= n-10 {
				return errors.New("refused")
			}
			return nil
		})
		for range 2 {
			_, err := s.TicketOpened.FlushMany(minutes(t))
			require.ErrorContains(t, err, "refused")
		}
		assert.Equal(t, numbers(n)[n-10:], slices.Sorted(slices.Values(s.tickets.Keys())))
	})
}
