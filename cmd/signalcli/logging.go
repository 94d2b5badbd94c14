package signalcli

import (
	"io"
	"log/slog"
	"regexp"
)

// logger returns the log that the flags ask for.
func (g *global) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	switch g.logLevel.Value {
	case "debug":
		level = slog.LevelDebug
	case "warn":
		level = slog.LevelWarn
	case "error":
		level = slog.LevelError
	}
	opts := &slog.HandlerOptions{Level: level}
	if g.logFormat.Value == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// redact takes passwords out of a text. The errors that a database driver or
// an AMQP client returns for a malformed URL quote the URL.
func redact(s string) string {
	s = regexp.MustCompile(`://[^"'\n]*@`).ReplaceAllString(s, "://***@")
	return regexp.MustCompile(`(?i)\b(password|passwd|pwd)\s*=\s*('[^']*'|[^\s&;"']+)`).ReplaceAllString(s, "$1=***")
}

// redactedError shows a cause without its passwords.
type redactedError struct{ err error }

func (e *redactedError) Error() string { return redact(e.err.Error()) }

// Unwrap returns the cause.
func (e *redactedError) Unwrap() error { return e.err }

func redacted(err error) error {
	if err == nil {
		return nil
	}
	return &redactedError{err}
}
