package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU time in /proc: USER_HZ, which is 100 on every Linux
// that Go runs on.
const tick = 10 * time.Millisecond

// listener returns the process that listens on a local TCP port, which is how
// the server of an address is found. It is 0 if the address is not of this
// machine or the process belongs to somebody else: then nobody can tell its
// CPU time.
func listener(address string) (int, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return 0, fmt.Errorf("port of %s: %w", address, err)
	}
	var sockets []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(table)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		for line := range strings.Lines(string(content)) {
			const listening = "0A"
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == listening && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", number)) {
				sockets = append(sockets, "socket:["+f[9]+"]")
			}
		}
	}
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && slices.Contains(sockets, target) {
			return strconv.Atoi(strings.Split(file, "/")[2])
		}
	}
	return 0, nil
}

// treeCPU returns the CPU time of a process and of all its descendants, those
// too that have ended: PostgreSQL has a process for each connection. It is 0
// for the process 0.
func treeCPU(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	parents, own := make(map[int]int), make(map[int]time.Duration)
	for _, file := range stats {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		s, err := parseStat(string(content))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		parents[s.pid], own[s.pid] = s.parent, s.cpu
	}
	if _, ok := own[pid]; !ok {
		return 0, fmt.Errorf("the server's process %d is gone", pid)
	}
	var sum time.Duration
	for child, cpu := range own {
		for at := child; at != 0; at = parents[at] {
			if at == pid {
				sum += cpu
				break
			}
		}
	}
	return sum, nil
}

type procStat struct {
	pid, parent int
	cpu         time.Duration // with that of the children that have ended
}

// parseStat reads /proc/PID/stat; see proc(5).
func parseStat(line string) (s procStat, err error) {
	// The name of the program may contain anything.
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return s, fmt.Errorf("%q is no process", line)
	}
	f := strings.Fields(line[end+1:])
	if len(f) < 15 {
		return s, fmt.Errorf("%q has too few fields", line)
	}
	ticks := 0
	for i, to := range map[int]*int{1: &s.parent, 11: nil, 12: nil, 13: nil, 14: nil} {
		n, err := strconv.Atoi(f[i])
		if err != nil {
			return s, err
		}
		if to != nil {
			*to = n
		} else {
			ticks += n
		}
	}
	s.cpu = time.Duration(ticks) * tick
	s.pid, err = strconv.Atoi(strings.TrimSpace(line[:open]))
	return s, err
}

// peakMemory returns the highest resident size that this process ever had.
// getrusage tells another: that of the parent too, from between fork and exec.
func peakMemory() (int64, error) {
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmHWM")
}
