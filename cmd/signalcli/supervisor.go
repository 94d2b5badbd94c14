package signalcli

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// supervisor is the systemd, or what speaks like it, that has started the process:
// see sd_notify(3). Without one it is nobody.
type supervisor struct {
	conn     net.Conn      // nil: nobody
	watchdog time.Duration // how often it wants to hear; 0: never
	told     time.Time
}

// newSupervisor finds the supervisor by the environment.
func newSupervisor(lookup func(string) (string, bool)) (*supervisor, error) {
	s := &supervisor{}
	address, _ := lookup("NOTIFY_SOCKET")
	if address == "" {
		return s, nil
	}
	if strings.HasPrefix(address, "@") { // an abstract one
		address = "\x00" + address[1:]
	}
	conn, err := net.Dial("unixgram", address)
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	s.conn = conn
	if pid, ok := lookup("WATCHDOG_PID"); ok && pid != strconv.Itoa(os.Getpid()) {
		return s, nil // it is about another process
	}
	if usec, ok := lookup("WATCHDOG_USEC"); ok {
		n, err := strconv.ParseInt(usec, 10, 64)
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("WATCHDOG_USEC: expected a number of microseconds above 0")
		}
		s.watchdog = time.Duration(n) * time.Microsecond
	}
	return s, nil
}

// tell tells a state. Who doesn't listen misses it.
func (s *supervisor) tell(state string) {
	if s.conn != nil {
		_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = s.conn.Write([]byte(state))
	}
}

// every is how often alive should be called.
func (s *supervisor) every() time.Duration {
	if s.watchdog == 0 {
		return time.Hour
	}
	return max(s.watchdog/4, time.Millisecond)
}

// alive tells that the process is well, twice as often as is asked for.
func (s *supervisor) alive(now time.Time) {
	if s.watchdog > 0 && now.Sub(s.told) >= s.watchdog/2-s.every()/2 {
		s.told = now
		s.tell("WATCHDOG=1")
	}
}

func (s *supervisor) close() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
}
