package order_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/order/ent"
	"github.com/entsignal/signalbus/integration/order/ent/levelreached"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sent is a message that arrived.
type sent struct {
	key    any
	number int
}

// arrivals are the messages that the senders of one or more processes sent, in
// order.
type arrivals struct {
	mu  sync.Mutex
	all []sent
	// before runs before a message is sent, and may refuse it.
	before func(key any, number int) error
}

func (a *arrivals) send(key any, number int) error {
	a.mu.Lock()
	before := a.before
	a.mu.Unlock()
	if before != nil {
		if err := before(key, number); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, sent{key, number})
	return nil
}

// of returns the numbers that arrived of a key.
func (a *arrivals) of(key any) (numbers []int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.all {
		if s.key == key {
			numbers = append(numbers, s.number)
		}
	}
	return numbers
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.all)
}

// process is a client with a bus, as a program has it.
type process struct {
	*ent.Client
	bus *entsignal.Bus
	db  *testdb.DB
	to  *arrivals
}

// open opens the database, and creates its tables.
func open(t testing.TB, db *testdb.DB, to *arrivals, opts ...entsignal.BusOption) *process {
	t.Helper()
	p := join(t, db, to, opts...)
	db.CreateTables(t, func(w io.Writer) error { return p.Schema.WriteTo(ctx(t), w) })
	return p
}

// join opens a database whose tables are there, as another process would.
func join(t testing.TB, db *testdb.DB, to *arrivals, opts ...entsignal.BusOption) *process {
	t.Helper()
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		AccountMoved: entsignal.Each(func(_ context.Context, s *ent.AccountMoved) error { return to.send(s.Account, s.Number) }),
		AccountLocked: entsignal.Each(func(_ context.Context, s *ent.AccountLocked) error {
			return to.send(s.Account, s.Number)
		}),
		DocumentChanged: entsignal.Each(func(_ context.Context, s *ent.DocumentChanged) error { return to.send(s.Document, s.Revision) }),
		LevelReached:    entsignal.Each(func(_ context.Context, s *ent.LevelReached) error { return to.send(s.Level, s.Number) }),
		NameGreeted:     entsignal.Each(func(_ context.Context, s *ent.NameGreeted) error { return to.send(s.Name, s.Number) }),
		DoorOpened:      entsignal.Each(func(_ context.Context, s *ent.DoorOpened) error { return to.send(nil, s.Number) }),
		TaskRanked:      entsignal.Each(func(_ context.Context, s *ent.TaskRanked) error { return to.send(nil, s.ID) }),
		CardDrawn:       entsignal.Each(func(_ context.Context, s *ent.CardDrawn) error { return to.send(nil, s.ID) }),
		JobQueued:       entsignal.Each(func(_ context.Context, s *ent.JobQueued) error { return to.send(nil, s.Priority) }),
	}, append([]entsignal.BusOption{entsignal.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	require.NoError(t, err)
	p := &process{Client: ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus), ent.Log(func(...any) {})), bus: bus, db: db, to: to}
	t.Cleanup(func() {
		c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		assert.NoError(t, bus.Close(c))
	})
	return p
}

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}

// move records signals of the accounts, in turn, numbered from 1 in each.
func (p *process) move(t testing.TB, accounts, each int) {
	t.Helper()
	p.AccountMoved.MapCreateBulk(make([]struct{}, accounts*each), func(c *ent.AccountMovedCreate, i int) {
		c.SetAccount(i%accounts + 1).SetNumber(i/accounts + 1)
	}).ExecX(ctx(t))
}

func (p *process) pending(t testing.TB, name string) int {
	t.Helper()
	counts, err := p.bus.Pending(ctx(t), entsignal.Only(name))
	require.NoError(t, err)
	return counts[0].Count
}

// numbers returns the numbers from 1 to n.
func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

func isSQLite(db *testdb.DB) bool { return db.Dialect == dialect.SQLite }

func TestKeysAreSentSideBySideEachInItsOrder(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		const accounts, each, workers = 10, 12, 3
		var to arrivals
		p := open(t, db, &to)
		p.move(t, accounts, each)
		if !isSQLite(db) { // where flushes take turns
			var meet sync.WaitGroup
			meet.Add(workers)
			to.before = func(key any, number int) error {
				if key.(int) <= workers && number == 1 {
					meet.Done()
					meet.Wait() // hangs unless they are sent side by side
				}
				return nil
			}
		}
		n, err := p.AccountMoved.FlushOrdered(ctx(t), entsignal.Workers(workers))
		require.NoError(t, err)
		assert.Equal(t, accounts*each, n)
		for account := range accounts {
			assert.Equal(t, numbers(each), to.of(account+1))
		}
		assert.Zero(t, p.pending(t, "AccountMoved"))
	})
}

func TestKeyThatFailsWaitsAlone(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		const accounts, each = 9, 12
		var to arrivals
		p := open(t, db, &to)
		p.move(t, accounts, each)
		bad := errors.New("bad")
		at := func(account int) int { return account * 5 % 13 } // the number at which it fails; 0 and 13 at none
		to.before = func(key any, number int) error {
			if account := key.(int); account != 8 && number == at(account) {
				return bad
			}
			return nil
		}
		for _, workers := range []int{1, 4} {
			_, err := p.bus.FlushOrdered(ctx(t), entsignal.Only("AccountMoved"), entsignal.Workers(workers))
			require.ErrorIs(t, err, bad)
			var flush *entsignal.FlushError
			require.ErrorAs(t, err, &flush)
			assert.Equal(t, "AccountMoved", flush.Signal)
			assert.Regexp(t, `key \d: .*bad`, err.Error())
			for account := 1; account <= accounts; account++ {
				want := each
				if account != 8 && at(account) > 0 && at(account) <= each {
					want = at(account) - 1
				}
				assert.Equal(t, numbers(want), slices.Compact(to.of(account)), "account %d", account)
			}
		}
		to.before = nil
		_, err := p.AccountMoved.FlushOrdered(ctx(t), entsignal.Workers(4))
		require.NoError(t, err)
		for account := range accounts {
			assert.Equal(t, numbers(each), to.of(account+1))
		}
	})
}

func TestBrokerThatIsAwayEndsAFlushOfKeys(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		p.move(t, 10, 1)
		tries := 0
		to.before = func(any, int) error {
			tries++
			return entsignal.Unavailable(errors.New("no broker"))
		}
		_, err := p.AccountMoved.FlushOrdered(ctx(t))
		require.True(t, entsignal.IsUnavailable(err))
		assert.Equal(t, 1, tries)
		assert.Equal(t, 10, p.pending(t, "AccountMoved"))
	})
}

func TestProcessesShareKeys(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		const accounts, each = 8, 12
		var to arrivals
		one := open(t, db, &to)
		two := join(t, db, &to)
		one.move(t, accounts, each)
		holding, goOn := make(chan struct{}), make(chan struct{})
		to.before = func(key any, number int) error {
			if key == 1 && number == 1 {
				close(holding)
				<-goOn
			}
			return nil
		}
		first := make(chan error, 1)
		go func() {
			_, err := one.AccountMoved.FlushOrdered(context.Background())
			first <- err
		}()
		select {
		case err := <-first:
			t.Fatalf("it ended early: %v", err)
		case <-holding: // account 1
		}
		n, err := two.AccountMoved.FlushOrdered(ctx(t), entsignal.Wait(0), entsignal.Workers(2))
		require.ErrorIs(t, err, entsignal.ErrBusy)
		assert.ErrorContains(t, err, "key 1: ")
		assert.Equal(t, (accounts-1)*each, n, "what is not held is sent")
		for account := 2; account <= accounts; account++ {
			assert.Equal(t, numbers(each), to.of(account))
		}
		second := make(chan error, 1)
		go func() {
			_, err := two.AccountMoved.FlushOrdered(context.Background())
			second <- err
		}()
		close(goOn)
		require.NoError(t, <-first)
		require.NoError(t, <-second, "it waits for its turn")
		assert.Equal(t, numbers(each), to.of(1), "by turns, as it may be")
		assert.Equal(t, accounts*each, to.count())
		assert.Zero(t, one.pending(t, "AccountMoved"))
	})
}

func TestOrderWithinAKeyIsThatOfTheSchema(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		documents := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
		for _, revision := range []int{3, 1, 4, 2, 5} {
			for _, document := range documents {
				p.DocumentChanged.Create().SetDocument(document).SetRevision(revision).SetUrgent(revision == 4).ExecX(ctx(t))
			}
		}
		n, err := p.DocumentChanged.FlushOrdered(ctx(t), entsignal.Workers(3))
		require.NoError(t, err)
		assert.Equal(t, 15, n)
		for _, document := range documents {
			assert.Equal(t, []int{4, 1, 2, 3, 5}, to.of(document))
		}
	})
}

// Whether the flush waits for the row that changes, or is busy with one before it.
func TestRowOfAKeyThatChangesIsSentWhereItBelongs(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		document := uuid.New()
		for revision := range 4 {
			p.DocumentChanged.Create().SetDocument(document).SetRevision(revision + 1).ExecX(ctx(t))
		}
		change := func(tx interface {
			Exec(query string, args ...any) (sql.Result, error)
		}, from, to int) {
			t.Helper()
			_, err := tx.Exec(fmt.Sprintf("UPDATE document_changeds SET revision = %d WHERE revision = %d", to, from))
			require.NoError(t, err)
		}
		pool := db.Open(t)
		to.before = func(_ any, number int) error {
			if number == 2 {
				change(pool, 3, 10)
			}
			return nil
		}
		tx, err := pool.Begin()
		require.NoError(t, err)
		change(tx, 1, 9)
		assert.True(t, waits(t, func() error {
			_, err := p.DocumentChanged.FlushOrdered(context.Background())
			return err
		}, tx.Commit))
		assert.Equal(t, []int{2, 4, 9, 10}, to.of(document))
	})
}

func TestKeysOfEachType(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		names := []string{"", "a b", "a' \\ \"b\"", "日本", "key 1", fmt.Sprint(uuid.New())}
		isMySQL := db.Dialect == dialect.MySQL
		tx, err := p.Tx(ctx(t))
		require.NoError(t, err)
		for i := range 3 {
			tx.LevelReached.Create().SetLevel(levelreached.LevelLow).SetNumber(i + 1).ExecX(ctx(t))
			tx.LevelReached.Create().SetLevel(levelreached.LevelHigh).SetNumber(i + 1).ExecX(ctx(t))
			if isMySQL { // which can't lock them
				continue
			}
			for _, name := range names {
				tx.NameGreeted.Create().SetName(name).SetNumber(i + 1).ExecX(ctx(t))
			}
		}
		require.NoError(t, tx.Commit())
		n, err := p.bus.FlushOrdered(ctx(t), entsignal.Only("LevelReached", "NameGreeted"), entsignal.Workers(2))
		require.NoError(t, err)
		assert.Equal(t, numbers(3), to.of(levelreached.LevelLow))
		assert.Equal(t, numbers(3), to.of(levelreached.LevelHigh))
		if isMySQL {
			assert.Equal(t, 6, n)
			return
		}
		for _, name := range names {
			assert.Equal(t, numbers(3), to.of(name), "name %q", name)
		}
	})
}

func TestWorkersOfAnOrderedFlushNeedAKey(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		p.move(t, 2, 2)
		p.DoorOpened.Create().SetNumber(1).ExecX(ctx(t))
		n, err := p.bus.FlushOrdered(ctx(t), entsignal.Workers(2), entsignal.Only("AccountMoved", "DoorOpened"))
		require.EqualError(t, err, "entsignal: signal DoorOpened: FlushOrdered with Workers(2) needs an OrderKey, and DoorOpened has none; leave out the option or the signal")
		assert.Equal(t, 4, n, "the others are sent")
		n, err = p.DoorOpened.FlushOrdered(ctx(t), entsignal.Workers(1))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}

func TestSignalsTellTheirKey(t *testing.T) {
	t.Parallel()
	var to arrivals
	p := join(t, testdb.New(t, testdb.SQLite), &to)
	keys := make(map[string]string)
	for _, info := range p.bus.Signals() {
		keys[info.Name] = info.OrderKey
		assert.Equal(t, info.Name == "AccountLocked" || info.Name == "NameGreeted", info.LockOrderKey, info.Name)
	}
	assert.Equal(t, map[string]string{
		"AccountMoved": "account", "AccountLocked": "account", "DocumentChanged": "document",
		"LevelReached": "level", "NameGreeted": "name", "DoorOpened": "", "TaskRanked": "", "CardDrawn": "", "JobQueued": "",
	}, keys)
}

func TestOrderedFlushOfKeysEndsUnderLoad(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		p.move(t, 2, 3)
		to.before = func(key any, number int) error {
			return p.AccountMoved.Create().SetAccount(key.(int)).SetNumber(number + 3).Exec(context.Background())
		}
		n, err := p.AccountMoved.FlushOrdered(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 6, n)
	})
}

func TestErrorOfASenderIsNotTakenForOneOfTheFlush(t *testing.T) {
	t.Parallel()
	for name, mistakable := range map[string]error{
		"a network": &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, // of the key's own endpoint
		"a context": context.Canceled,
		"a turn":    entsignal.ErrBusy,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
				var to arrivals
				p := open(t, db, &to)
				p.move(t, 4, 3)
				tries := 0
				to.before = func(key any, _ int) error {
					if key == 1 {
						tries++
						return fmt.Errorf("of the sender: %w", mistakable)
					}
					return nil
				}
				n, err := p.AccountMoved.FlushOrdered(ctx(t), entsignal.Wait(0))
				require.ErrorIs(t, err, mistakable)
				require.ErrorContains(t, err, "of the sender")
				assert.Equal(t, 9, n)
				assert.Equal(t, 1, tries)
				assert.Empty(t, to.of(1))
			})
		})
	}
}

// anyText are keys that a lock, a statement or a collation may take amiss.
func anyText(db *testdb.DB) []string {
	keys := []string{
		`O'Brien "the \ one" --`, "`;%_?$1", "\U0001F600", "\U0010FFFF日本", "tab\tand\nline", "e\u0301", "\u00e9", "\uFFFD",
		strings.Repeat("ä", 10_000), strings.Repeat("ä", 9_999) + "\U0001F600",
		"Ada", "ada", "ADA ", " Ada", "Ada  ",
	}
	if db.Dialect != dialect.Postgres { // which can't store it
		keys = append(keys, "a\x00b")
	}
	return keys
}

func TestKeysOfAnyTextAreSentInTheirOrder(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		to := &arrivals{}
		p := open(t, db, to)
		pool := db.Open(t)
		insert := "INSERT INTO name_greeteds (name, number) VALUES (?, ?)"
		switch db.Dialect {
		case dialect.MySQL:
			_, err := pool.Exec("ALTER TABLE name_greeteds MODIFY name longtext NOT NULL")
			require.NoError(t, err)
		case dialect.Postgres:
			insert = "INSERT INTO name_greeteds (name, number) VALUES ($1, $2)"
		}
		const each = 4
		keys := anyText(db)
		for number := range each {
			for _, key := range keys {
				_, err := pool.Exec(insert, key, number+1)
				require.NoError(t, err, "%.50q", key)
			}
		}
		var all sync.WaitGroup
		for _, p := range []*process{p, join(t, db, to)} {
			all.Go(func() {
				// MariaDB tells keys apart, when it lists them, by their first 1024
				// bytes: two that begin alike leave one after the other.
				for range 2 {
					_, err := p.NameGreeted.FlushOrdered(ctx(t), entsignal.Workers(3), entsignal.Burst(3))
					assert.NoError(t, err)
				}
			})
		}
		all.Wait()
		assert.Zero(t, p.pending(t, "NameGreeted"))
		assert.Equal(t, each*len(keys), to.count())
		for _, key := range keys {
			assert.Equal(t, numbers(each), to.of(key), "%.50q", key)
		}
	})
}

// While a new version of a program takes the place of an old one, both take
// turns.
func TestTurnOfAKeyIsTheOneThatEarlierVersionsTook(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		p := open(t, db, &arrivals{})
		conn, err := db.Open(t).Conn(ctx(t))
		require.NoError(t, err)
		defer conn.Close()
		const name = "SHA1(CONCAT('entsignal ', COALESCE(DATABASE(), ''), ' ', ?))"
		for _, key := range []string{"Ada", "ada", "\u00e9日本", `O'Brien "\"`} {
			_, err := conn.ExecContext(ctx(t), "INSERT INTO name_greeteds (name, number) VALUES (?, 1)", key)
			require.NoError(t, err)
			var mine bool
			require.NoError(t, conn.QueryRowContext(ctx(t), "SELECT GET_LOCK("+name+", 0)", "name_greeteds key "+key).Scan(&mine))
			require.True(t, mine)
			_, err = p.NameGreeted.FlushOrdered(ctx(t), entsignal.Wait(0))
			require.ErrorIs(t, err, entsignal.ErrBusy, key)
			require.NoError(t, conn.QueryRowContext(ctx(t), "SELECT RELEASE_LOCK("+name+")", "name_greeteds key "+key).Scan(&mine))
			_, err = p.NameGreeted.FlushOrdered(ctx(t), entsignal.Wait(0))
			require.NoError(t, err, key)
		}
	})
}
