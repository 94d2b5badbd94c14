package testkit

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
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

// forgetful is a database that takes a commit for a rollback.
type forgetful struct{ *entsql.Driver }

func (d forgetful) Tx(ctx context.Context) (dialect.Tx, error) { return d.BeginTx(ctx, nil) }

func (d forgetful) BeginTx(ctx context.Context, opts *stdsql.TxOptions) (dialect.Tx, error) {
	tx, err := d.Driver.BeginTx(ctx, opts)
	return forgetfulTx{tx}, err
}

type forgetfulTx struct{ dialect.Tx }

func (x forgetfulTx) Commit() error { return x.Rollback() }

const childMode = "ENTSIGNAL_TESTKIT_CHILD"

// A suite that can't fail proves nothing. It runs in a process of its own, as its
// subtests fail.
func TestDatabaseThatForgetsCommitsFails(t *testing.T) {
	if os.Getenv(childMode) != "" {
		entsignaltest.TestDatabase(t, func(t testing.TB) dialect.Driver { return forgetful{testdb.New(t, testdb.SQLite).Driver(t)} })
		return
	}
	child := exec.CommandContext(ctx(t), os.Args[0], "-test.run=^TestDatabaseThatForgetsCommitsFails$/^(a_commit_sends|each_flush|a_sender_that_panics)")
	child.Env = append(child.Environ(), childMode+"=1")
	out, err := child.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), `entsignaltest: "signal 1" was sent 0 times; expected once`)
	assert.Contains(t, string(out), "entsignaltest: flush 1 of 3 sent 0 of 10: <nil>")
	assert.Contains(t, string(out), `entsignaltest: the sender panicked, but FlushMany returned 0 and <nil>`)
}
