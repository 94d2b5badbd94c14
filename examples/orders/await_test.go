package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lines is a writer that tells when it has got a number of lines.
type lines struct {
	full chan struct{}

	mu   sync.Mutex
	want int
	text strings.Builder
}

func newLines(want int) *lines { return &lines{full: make(chan struct{}), want: want} }

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.want -= bytes.Count(b, []byte("\n")); l.want == 0 {
		close(l.full)
	}
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await returns what ch delivers.
func await[T any](t *testing.T, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(30 * time.Second):
		require.Fail(t, "waited too long for "+what)
	}
	return v
}

func count[T any](all []T, match func(T) bool) (n int) {
	for _, v := range all {
		if match(v) {
			n++
		}
	}
	return n
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
