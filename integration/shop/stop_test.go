package shop_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// confirm waits a little for a broker that has got the message, as a sender
// does, which gives up when its context ends.
func confirm(ctx context.Context) error {
	select {
	case <-time.After(20 * time.Millisecond): // the broker's answer
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestFlushesThatAreCancelledRepeatNothing(t *testing.T) {
	t.Parallel()
	for name, flush := range flushes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				const n = 60
				s := open(t, db)
				s.audit(t, n)
				var (
					mu   sync.Mutex
					out  = make(map[int]int)
					stop func()
				)
				s.audits.Before(func(ctx context.Context, signals []*ent.AuditLogged) error {
					mu.Lock()
					for _, signal := range signals {
						out[signal.Number]++
					}
					if rand.IntN(4) == 0 {
						stop()
					}
					mu.Unlock()
					return confirm(ctx)
				})
				for sent := 0; sent < n; {
					c, cancel := context.WithCancel(ctx(t))
					mu.Lock()
					stop = cancel
					mu.Unlock()
					more, err := flush(s, c)
					sent += more
					if sent < n {
						require.ErrorIs(t, err, context.Canceled)
					}
					require.Positive(t, more)
					cancel()
				}
				assert.Len(t, out, n)
				for number, times := range out {
					assert.Equal(t, 1, times, "number %d", number)
				}
			})
		})
	}
}

// late is a context whose deadline passes when the test says so.
type late struct {
	context.Context
	late chan struct{}
}

func newLate(ctx context.Context) *late { return &late{ctx, make(chan struct{})} }

func (l *late) Deadline() (time.Time, bool) { return time.Now().Add(hang), true }

func (l *late) Done() <-chan struct{} { return l.late }

func (l *late) Err() error {
	select {
	case <-l.late:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Send is one batch, which its deadline doesn't cut.
func TestDeadlineOfTheCallerLeavesTheBatchInHandItsTime(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 3)
		c := newLate(ctx(t))
		s.audits.Before(func(ctx context.Context, _ []*ent.AuditLogged) error {
			close(c.late)
			return confirm(ctx)
		})
		n, err := s.AuditLogged.Send(c, s.AuditLogged.Query().AllX(ctx(t))...)
		require.NoError(t, err)
		assert.Equal(t, 3, n)
		assert.Zero(t, s.pending(t, "AuditLogged"))

		n, err = s.AuditLogged.FlushMany(c)
		require.ErrorIs(t, err, context.DeadlineExceeded, "it begins nothing")
		assert.Zero(t, n)
	})
}

// within fails the test if f doesn't end.
func within(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		t.Errorf("it hangs: %v", limit)
	}
}

func TestReadsOfAFlushOnADeadNetworkEndWithTheFlushTimeout(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		through, proxy := db.Through(t)
		open(t, db)
		s := newShop(t)
		s.open(t, through, entsignal.WithFlushTimeout(time.Second))
		defer func() {
			proxy.Cut()
			proxy.BlackHole(false)
		}()
		for name, ask := range map[string]func(context.Context) (int, error){
			"Flush":      func(ctx context.Context) (int, error) { return s.OrderPlaced.Flush(ctx, entsignal.Wait(0)) },
			"FlushMany":  func(ctx context.Context) (int, error) { return s.OrderPlaced.FlushMany(ctx) },
			"ordered":    func(ctx context.Context) (int, error) { return s.AuditLogged.FlushOrdered(ctx) },
			"by a field": func(ctx context.Context) (int, error) { return s.ShipmentDue.FlushOrdered(ctx) },
			"Pending": func(ctx context.Context) (int, error) {
				_, err := s.bus.Pending(ctx, entsignal.Only("OrderPlaced"))
				return 0, err
			},
			"CheckOrder": func(ctx context.Context) (int, error) {
				_, err := s.bus.CheckOrder(ctx, entsignal.Only("OrderPlaced"))
				return 0, err
			},
		} {
			if name == "CheckOrder" && db.Dialect == dialect.MySQL { // which isn't asked
				continue
			}
			require.Eventually(t, func() bool { // on a connection that is open then
				_, err := ask(ctx(t))
				return err == nil || !assert.ErrorContains(t, err, "flush timeout of 1s", name)
			}, hang, time.Millisecond)
			proxy.BlackHole(true)
			within(t, hang, func() {
				_, err := ask(context.Background())
				assert.ErrorContains(t, err, "flush timeout of 1s", name)
			})
			proxy.Cut()
			proxy.BlackHole(false)
		}
	})
}

// There are eight types, each of which would take its time.
func TestFlushOnADeadNetworkEndsWhenTheBusCloses(t *testing.T) {
	t.Parallel()
	for name, flush := range map[string]func(*entsignal.Bus, context.Context) (int, error){
		"Flush": func(b *entsignal.Bus, ctx context.Context) (int, error) { return b.Flush(ctx, entsignal.Wait(0)) },
		"FlushMany": func(b *entsignal.Bus, ctx context.Context) (int, error) {
			return b.FlushMany(ctx, entsignal.Workers(2))
		},
		"FlushOrdered": func(b *entsignal.Bus, ctx context.Context) (int, error) { return b.FlushOrdered(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
				through, proxy := db.Through(t)
				open(t, db)
				s := newShop(t)
				s.open(t, through, entsignal.WithFlushTimeout(20*time.Second))
				_, err := flush(s.bus, ctx(t))
				require.NoError(t, err)
				proxy.BlackHole(true)
				done := make(chan error, 1)
				go func() {
					_, err := flush(s.bus, context.Background())
					done <- err
				}()
				select {
				case err := <-done:
					t.Errorf("it ended before Close: %v", err)
				case <-time.After(100 * time.Millisecond): // it is in its first query by then
				}
				within(t, 15*time.Second, func() { // the settle time of one claim is 4 s
					ended, cancel := context.WithCancel(context.Background())
					cancel()
					_ = s.bus.Close(ended)
					require.ErrorIs(t, <-done, entsignal.ErrClosed)
				})
				proxy.Cut()
				proxy.BlackHole(false)
				require.NoError(t, s.bus.Close(ctx(t)))
			})
		})
	}
}
