package testkit

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestDatabasesKeepToTheirContract(t *testing.T) {
	for _, kind := range testdb.All {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			entsignaltest.TestDatabase(t, func(t testing.TB) dialect.Driver { return testdb.New(t, kind).Driver(t) })
		})
	}
	t.Run("pqconn", func(t *testing.T) {
		t.Parallel()
		entsignaltest.TestDatabase(t, func(t testing.TB) dialect.Driver {
			pool, err := pqconn.Open(testdb.New(t, testdb.PostgreSQL).DSN, pqconn.WithStatementCache(10))
			require.NoError(t, err)
			t.Cleanup(func() { pool.Close() })
			return entsql.OpenDB(dialect.Postgres, pool)
		})
	})
}

func TestSenderOfEachKeepsToItsContract(t *testing.T) {
	entsignaltest.TestSender(t, entsignaltest.SenderCase{
		Open: func(testing.TB) entsignaltest.SenderUnderTest {
			s := &store{}
			return entsignaltest.SenderUnderTest{Sender: entsignal.Each(s.put), Received: s.received, Away: s.leave}
		},
	})
}

func TestRecordingSenderKeepsToItsContract(t *testing.T) {
	entsignaltest.TestSender(t, entsignaltest.SenderCase{
		Open: func(t testing.TB) entsignaltest.SenderUnderTest {
			senders, outbox := entsignaltest.Senders[struct {
				Signal entsignal.Sender[*entsignaltest.Signal]
			}](t)
			entsignaltest.FailWhere(outbox, func(s *entsignaltest.Signal) error { return s.Fail })
			return entsignaltest.SenderUnderTest{
				Sender: senders.Signal,
				Received: func(testing.TB) (got []entsignaltest.Received) {
					for _, batch := range entsignaltest.Batches[*entsignaltest.Signal](outbox) {
						for i, s := range batch.Signals {
							got = append(got, entsignaltest.Received{Text: s.Text, MessageID: batch.Items[i].ID})
						}
					}
					return got
				},
				Away: func(testing.TB) func() { return entsignaltest.Away[*entsignaltest.Signal](outbox) },
				Hang: func(testing.TB) func() { return entsignaltest.Hang[*entsignaltest.Signal](outbox) },
			}
		},
	})
}

// store takes one message at a time.
type store struct {
	mu   sync.Mutex
	got  []entsignaltest.Received
	away bool
}

func (s *store) put(ctx context.Context, signal *entsignaltest.Signal) error {
	if signal.Fail != nil {
		return fmt.Errorf("encode: %w", signal.Fail)
	}
	id := ""
	if batch, ok := entsignal.BatchFromContext(ctx); ok {
		id = batch.Signal.Name + ":" + batch.Items[0].ID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return entsignal.Unavailable(errRefused)
	}
	s.got = append(s.got, entsignaltest.Received{Text: signal.Text, MessageID: id})
	return nil
}

func (s *store) received(testing.TB) []entsignaltest.Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]entsignaltest.Received(nil), s.got...)
}

func (s *store) leave(testing.TB) (back func()) {
	set := func(away bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.away = away
	}
	set(true)
	return func() { set(false) }
}
