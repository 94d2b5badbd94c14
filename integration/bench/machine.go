package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"entgo.io/ent/dialect"
)

// durable refuses a PostgreSQL whose commits don't wait for the disk: that is for
// tests, and would be measured as the library's speed.
func (s *stage) durable(ctx context.Context) error {
	var fsync string
	if err := s.databases[dialect.Postgres].db.QueryRowContext(ctx, "SHOW fsync").Scan(&fsync); err != nil {
		return err
	}
	if fsync != "on" {
		return fmt.Errorf("PostgreSQL has fsync=%s, as tests want it; end it with `make services-down`, and `make bench` starts one with fsync=on", fsync)
	}
	return nil
}

// machine describes what the figures were measured on.
func (s *stage) machine(ctx context.Context) (lines []string, err error) {
	sync, err := syncTime(200)
	if err != nil {
		return nil, err
	}
	lines = append(lines,
		fmt.Sprintf("%d CPUs, %s, which client, database and broker share; %s of memory", runtime.NumCPU(), procField("/proc/cpuinfo", "model name"), procField("/proc/meminfo", "MemTotal")),
		fmt.Sprintf("Linux %s; writing and syncing 8 KiB takes %.2f ms", procField("/proc/sys/kernel/osrelease", ""), micros(sync)/1000),
		fmt.Sprintf("%s %s", runtime.Version(), runtime.GOARCH))
	for _, server := range []struct{ kind, query string }{
		{dialect.Postgres, "SHOW server_version"},
		{dialect.MySQL, "SELECT VERSION()"},
		{dialect.SQLite, "SELECT sqlite_version()"},
	} {
		var version string
		if err := s.databases[server.kind].db.QueryRowContext(ctx, server.query).Scan(&version); err != nil {
			return nil, err
		}
		lines = append(lines, databaseTitle(server.kind)+" "+version)
	}
	return append(lines, fmt.Sprint("RabbitMQ ", s.broker.Properties["version"])), nil
}

// procField returns the value of the first line of a file of /proc that has
// the key, or all of it without one.
func procField(file, key string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	if key == "" {
		return strings.TrimSpace(string(content))
	}
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// syncTime returns the mean time of n times writing a page and syncing it,
// which is what a commit waits for.
func syncTime(n int) (_ time.Duration, err error) {
	dir, err := os.MkdirTemp("", "entsignal-bench")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	page := make([]byte, 8<<10)
	began := time.Now()
	for range n {
		if _, err := f.WriteAt(page, 0); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, fmt.Errorf("fdatasync: %w", err)
		}
	}
	return time.Since(began) / time.Duration(n), nil
}
