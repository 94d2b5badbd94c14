package signalcli

import (
	"io"
	"log/slog"
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
