// Package testlog keeps what a program under test has logged.
package testlog

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// Log is a log in memory. Its zero value is empty. Its methods may be called by
// several goroutines.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Logger returns a logger that writes records to l as text, a line each.
func (l *Log) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// Write implements [io.Writer].
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns what was logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Lines returns the lines that were logged so far.
func (l *Log) Lines() []string { return strings.Split(strings.TrimSpace(l.String()), "\n") }

// Count returns how often the log says so.
func (l *Log) Count(text string) int { return strings.Count(l.String(), text) }
