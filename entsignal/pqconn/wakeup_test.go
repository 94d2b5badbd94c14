package pqconn

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/internal/faultproxy"
)

// newSchema returns the URL of a schema of the test's own, and so of a channel.
func newSchema(t *testing.T) string {
	t.Helper()
	u := databaseURL(t)
	admin := open(t, u.String())
	name := "wake_" + string(time.Now().AppendFormat(nil, "150405.000000000"))
	_, err := admin.Exec(`CREATE SCHEMA "` + name + `"`)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.Exec(`DROP SCHEMA "` + name + `"`)
		assert.NoError(t, err)
	})
	q := u.Query()
	q.Set("search_path", `"`+name+`"`)
	u.RawQuery = q.Encode()
	return u.String()
}

func newWakeUp(t *testing.T, dsn string, opts ...Option) *WakeUp {
	t.Helper()
	w, err := NewWakeUp(dsn, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, w.Close()) })
	return w
}

// listening has the wake-up listen until the test ends, or end is called, which
// returns what Listen has returned.
func listening(t *testing.T, w *WakeUp) (woken chan []string, end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	woken = make(chan []string, 1000)
	returned := make(chan error, 1)
	go func() { returned <- w.Listen(ctx, func(signals []string) { woken <- signals }) }()
	ended := false
	end = func() error {
		cancel()
		ended = true
		select {
		case err := <-returned:
			return err
		case <-time.After(30 * time.Second):
			t.Fatal("Listen doesn't end")
			return nil
		}
	}
	t.Cleanup(func() {
		if !ended {
			_ = end()
		}
	})
	return woken, end
}

// next returns what wake was called with next.
func next(t *testing.T, woken <-chan []string) []string {
	t.Helper()
	select {
	case signals := <-woken:
		return signals
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came")
		return nil
	}
}

// nextNamed is next without the nils.
func nextNamed(t *testing.T, woken <-chan []string) []string {
	t.Helper()
	for {
		if signals := next(t, woken); signals != nil {
			return signals
		}
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestNotificationsArriveAndProveThatTheyDo(t *testing.T) {
	t.Parallel()
	dsn := newSchema(t)
	listener, notifier, stranger := newWakeUp(t, dsn), newWakeUp(t, dsn), newWakeUp(t, newSchema(t))
	woken, end := listening(t, listener)
	assert.Nil(t, next(t, woken), "what came before isn't known")
	require.NoError(t, stranger.Notify(within(t, time.Minute), []string{"Elsewhere"}))
	require.NoError(t, notifier.Notify(within(t, time.Minute), []string{"A", "B"}))
	assert.Equal(t, []string{"A", "B"}, next(t, woken))
	require.NoError(t, listener.Prove(within(t, time.Minute)))
	many := make([]string, 1000)
	for i := range many {
		many[i] = "LongNameOfASignal"
	}
	require.NoError(t, notifier.Notify(within(t, time.Minute), many))
	assert.Nil(t, next(t, woken), "more than fits is all")
	require.ErrorIs(t, end(), context.Canceled)
	assert.Empty(t, woken, "proofs wake nobody")

	err := listener.Prove(within(t, 500*time.Millisecond))
	require.ErrorContains(t, err, "does not arrive")
}

func TestStatementForWritersInOtherLanguagesWakes(t *testing.T) {
	t.Parallel()
	dsn := newSchema(t)
	woken, _ := listening(t, newWakeUp(t, dsn))
	assert.Nil(t, next(t, woken))
	_, err := open(t, dsn).Exec("SELECT pg_notify(left('entsignal:' || current_database() || '.' || current_schema(), 63), 'OrderPlaced,UserJoined')")
	require.NoError(t, err)
	assert.Equal(t, []string{"OrderPlaced", "UserJoined"}, next(t, woken))
}

func through(t *testing.T, dsn string) (*faultproxy.Proxy, string) {
	t.Helper()
	return faultproxy.ForURL(t, dsn, "5432")
}

func TestLostConnectionsAreReplacedAndNothingIsTakenForGranted(t *testing.T) {
	t.Parallel()
	dsn := newSchema(t)
	proxy, proxied := through(t, dsn)
	w := newWakeUp(t, proxied)
	woken, _ := listening(t, w)
	assert.Nil(t, next(t, woken))
	require.NoError(t, w.Prove(within(t, time.Minute)))
	proxy.Cut()
	assert.Nil(t, next(t, woken), "it is lost")
	assert.Nil(t, next(t, woken), "it is back")
	require.NoError(t, w.Notify(within(t, time.Minute), []string{"A"}))
	assert.Equal(t, []string{"A"}, nextNamed(t, woken))
}

func TestDeadNetworkIsNoticedByAListenerThatHearsNothing(t *testing.T) {
	t.Parallel()
	dsn := newSchema(t)
	proxy, proxied := through(t, dsn)
	w := newWakeUp(t, proxied, WithTimeout(600*time.Millisecond), WithConnectTimeout(600*time.Millisecond))
	woken, end := listening(t, w)
	assert.Nil(t, next(t, woken))
	require.NoError(t, newWakeUp(t, dsn).Notify(within(t, time.Minute), []string{"A"}))
	assert.Equal(t, []string{"A"}, next(t, woken))
	proxy.BlackHole(true)
	assert.Nil(t, next(t, woken), "it is lost")
	require.Error(t, w.Prove(within(t, 100*time.Millisecond)))
	began := time.Now()
	require.Error(t, w.Notify(within(t, 100*time.Millisecond), []string{"B"}))
	assert.Less(t, time.Since(began), 20*time.Second)
	proxy.BlackHole(false)
	proxy.Cut() // what it swallowed is lost
	assert.Nil(t, next(t, woken), "it is back")
	require.Eventually(t, func() bool { return w.Prove(within(t, time.Second)) == nil }, 30*time.Second, time.Millisecond)
	proxy.BlackHole(true)
	require.ErrorIs(t, end(), context.Canceled, "in the black hole too")
}

func TestIdleListenerKeepsItsConnection(t *testing.T) {
	t.Parallel()
	dsn := newSchema(t)
	proxy, proxied := through(t, dsn)
	w := newWakeUp(t, proxied, WithTimeout(500*time.Millisecond))
	woken, _ := listening(t, w)
	assert.Nil(t, next(t, woken))
	_, err := open(t, dsn).Exec("SELECT pg_sleep(1.2)")
	require.NoError(t, err)
	require.NoError(t, newWakeUp(t, dsn).Notify(within(t, time.Minute), []string{"A"}))
	assert.Equal(t, []string{"A"}, next(t, woken))
	assert.LessOrEqual(t, proxy.Accepted(), int64(2), "one that listens, one that has asked for the channel")
}

func TestWakeUpOfADatabaseThatIsAwayFailsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWakeUp(t, "postgres://u:s3cret@127.0.0.1:1/db?sslmode=disable")
	for _, err := range []error{
		w.Notify(within(t, time.Minute), []string{"A"}),
		w.Listen(within(t, time.Minute), func([]string) {}),
		w.Prove(within(t, 50*time.Millisecond)),
	} {
		require.ErrorContains(t, err, "refused")
		assert.NotContains(t, err.Error(), "s3cret")
	}
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.Notify(within(t, time.Minute), nil), errClosed)
}

func TestWakeUpRefusesWhatAConnectorRefuses(t *testing.T) {
	t.Parallel()
	_, err := NewWakeUp("")
	require.ErrorContains(t, err, "the DSN is empty")
	_, err = NewWakeUp((&url.URL{Scheme: "postgres", Host: "h"}).String(), WithTimeout(0))
	require.ErrorContains(t, err, "WithTimeout")
	_, err = NewWakeUp("host=h", WithStatementCache(1))
	require.ErrorContains(t, err, "doesn't use the option WithStatementCache")
}
