package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// Twenty open pages ask the database no more often than one: a second at most for each
// type, whatever happens.
func TestManyOpenPagesAskTheDatabaseAsOftenAsOne(t *testing.T) {
	t.Parallel()
	notes := &queries{}
	w := openBy(t, testdb.New(t, testdb.PostgreSQL), spied(t, notes))
	w.queue(t, 100)
	s := serve(t, w)
	asked := func(pages int) int {
		c, end := context.WithTimeout(ctx(t), 4*time.Second)
		defer end()
		notes.take()
		var all sync.WaitGroup
		for range pages {
			all.Go(func() { s.follow(t, c) })
		}
		all.Wait()
		return len(notes.take())
	}
	one := asked(1)
	many := asked(20)
	t.Logf("one page: %d queries in 4 seconds, 20 pages: %d", one, many)
	assert.Positive(t, one)
	assert.LessOrEqual(t, many, 2*one, "the moments at which they begin may differ")
}

// follow reads events, and the first page after each, until c ends.
func (s *page) follow(t testing.TB, c context.Context) {
	req, err := http.NewRequestWithContext(c, http.MethodGet, s.URL+"/api/v1/events", nil)
	if !assert.NoError(t, err) {
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if !assert.NoError(t, err) {
		return
	}
	defer resp.Body.Close()
	buf := make([]byte, 64<<10)
	for c.Err() == nil {
		if _, err := resp.Body.Read(buf); err != nil {
			return
		}
		req, err := http.NewRequestWithContext(c, http.MethodGet, s.URL+"/", nil)
		if !assert.NoError(t, err) {
			return
		}
		if page, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, page.Body)
			_ = page.Body.Close()
		}
	}
}

// What open pages cost a flush of the same process, a signal.
func BenchmarkFlushManyBesideOpenPages(b *testing.B) {
	for _, pages := range []int{0, 20} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			w := open(b, testdb.PostgreSQL)
			s := serve(b, w)
			c, end := context.WithCancel(b.Context())
			var all sync.WaitGroup
			for range pages {
				all.Go(func() { s.follow(b, c) })
			}
			_, err := w.db.Open(b).ExecContext(c, fmt.Sprintf("INSERT INTO note_takens (number) SELECT generate_series(1, %d)", b.N))
			require.NoError(b, err)
			b.ResetTimer()
			sent, err := w.bus.FlushMany(c, entsignal.Only("NoteTaken"))
			b.StopTimer()
			end()
			all.Wait()
			require.NoError(b, err)
			require.Equal(b, b.N, sent)
		})
	}
}
