// Package web has tests on the page and the JSON API of package signalweb: over real
// databases, and the page in a real browser.
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/signalweb"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
	"github.com/entsignal/signalbus/internal/testlog"
)

// works is a client with a bus, whose messages go nowhere.
type works struct {
	*ent.Client
	bus *entsignal.Bus
	db  *testdb.DB
	log testlog.Log

	mu   sync.Mutex
	fail func(signal string, number int) error // nil: all are sent
	sent []string                              // the type and the number of each
}

// ctx returns a context that ends before the test times out.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return c
}

// open opens works on an empty database.
func open(t testing.TB, kind testdb.Kind, opts ...entsignal.BusOption) *works {
	t.Helper()
	return openBy(t, testdb.New(t, kind), func(db *testdb.DB) dialect.Driver { return db.Driver(t) }, opts...)
}

// openBy is open with a driver of the test's own.
func openBy(t testing.TB, db *testdb.DB, driver func(*testdb.DB) dialect.Driver, opts ...entsignal.BusOption) *works {
	t.Helper()
	w := &works{db: db}
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		JobQueued:  sender(w, "JobQueued", func(s *ent.JobQueued) int { return s.Number }),
		MailWanted: sender(w, "MailWanted", func(s *ent.MailWanted) int { return s.Number }),
		BadgeGiven: sender(w, "BadgeGiven", func(s *ent.BadgeGiven) int { return s.Number }),
		StepDone:   sender(w, "StepDone", func(s *ent.StepDone) int { return s.Number }),
		LineMoved:  sender(w, "LineMoved", func(s *ent.LineMoved) int { return s.Number }),
		NoteTaken:  sender(w, "NoteTaken", func(s *ent.NoteTaken) int { return s.Number }),
	}, append([]entsignal.BusOption{entsignal.WithLogger(w.log.Logger())}, opts...)...)
	require.NoError(t, err)
	w.bus = bus
	w.Client = ent.NewClient(ent.Driver(driver(db)), ent.WithSignalBus(bus))
	w.db.CreateTables(t, func(out io.Writer) error { return w.Schema.WriteTo(ctx(t), out) })
	t.Cleanup(func() {
		c, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		assert.NoError(t, bus.Close(c))
		if t.Failed() {
			t.Logf("the log:\n%s", &w.log)
		}
	})
	return w
}

func sender[T any](w *works, signal string, number func(T) int) entsignal.Sender[T] {
	return entsignal.Each(func(_ context.Context, s T) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.fail != nil {
			if err := w.fail(signal, number(s)); err != nil {
				return err
			}
		}
		w.sent = append(w.sent, fmt.Sprint(signal, " ", number(s)))
		return nil
	})
}

// fails makes the senders fail.
func (w *works) fails(how func(signal string, number int) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = how
}

// took returns what was sent of a type.
func (w *works) took(signal string) (numbers []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sent {
		if number, ok := strings.CutPrefix(s, signal+" "); ok {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// queue records n jobs, numbered from 1.
func (w *works) queue(t testing.TB, n int) {
	t.Helper()
	for first := range slices.Chunk(make([]int, n), 500) {
		done := w.JobQueued.Query().CountX(ctx(t))
		w.JobQueued.MapCreateBulk(first, func(c *ent.JobQueuedCreate, i int) { c.SetNumber(done + i + 1) }).ExecX(ctx(t))
	}
}

// dead makes n jobs that are dead, each third with another error.
func (w *works) dead(t testing.TB, n int) {
	t.Helper()
	w.queue(t, n)
	w.fails(func(_ string, number int) error {
		return entsignal.Permanent(fmt.Errorf("queue %d is gone", number%3))
	})
	_, err := w.bus.FlushMany(ctx(t), entsignal.Only("JobQueued"))
	require.Error(t, err)
	w.fails(nil)
}

// page is a server of the page.
type page struct {
	*httptest.Server
}

func serve(t testing.TB, w *works, opts ...signalweb.Option) *page {
	t.Helper()
	s := &page{httptest.NewServer(signalweb.Handler(w.bus, opts...))}
	t.Cleanup(s.Close)
	return s
}

const token = "correct-horse-battery-staple"

// do sends a request, and returns the answer and its body. Headers are pairs.
func (s *page) do(t testing.TB, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx(t), method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(text)
}

// get returns the JSON at a path.
func get[T any](t testing.TB, s *page, path string) (v T) {
	t.Helper()
	resp, body := s.do(t, "GET", path, "")
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", body)
	require.NoError(t, json.Unmarshal([]byte(body), &v))
	return v
}

// post sends JSON with the token and returns the status and the answer.
func (s *page) post(t testing.TB, path, body string) (int, map[string]any) {
	t.Helper()
	resp, text := s.do(t, "POST", path, body, "Content-Type", "application/json", "Authorization", "Bearer "+token)
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &v), "%s", text)
	return resp.StatusCode, v
}

// form sends a form with the token.
func (s *page) form(t testing.TB, path, body string) (*http.Response, string) {
	t.Helper()
	return s.do(t, "POST", path, body, "Content-Type", "application/x-www-form-urlencoded", "Authorization", "Bearer "+token)
}

var errAway = entsignal.Unavailable(errors.New("the broker is away"))
