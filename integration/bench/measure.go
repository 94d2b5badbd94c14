package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"
)

// Figure is what one run of one side measured.
type Figure struct {
	Count    int           // messages or transactions that were done while the clock ran
	Took     time.Duration // on the clock
	Client   time.Duration // CPU time of the process that did the work
	Database time.Duration // CPU time of the database's server
	Broker   time.Duration // CPU time of the broker
	Memory   int64         // the most bytes that the process had in memory in its life

	First, Last time.Duration // of one row: mean of the first tenth and of the last
	Start       time.Duration // to the first message

	P50, P99 time.Duration // of the latencies

	Allocations float64 // for each of Count
}

// The readings of a figure that rows compare.

func perSecond(f Figure) float64   { return float64(f.Count) / f.Took.Seconds() }
func microsEach(f Figure) float64  { return micros(f.Took) / float64(f.Count) }
func millisEach(f Figure) float64  { return microsEach(f) / 1000 }
func clientCPU(f Figure) float64   { return micros(f.Client) / float64(f.Count) }
func databaseCPU(f Figure) float64 { return micros(f.Database) / float64(f.Count) }
func brokerCPU(f Figure) float64   { return micros(f.Broker) / float64(f.Count) }
func memory(f Figure) float64      { return float64(f.Memory) / (1 << 20) }
func firstTenth(f Figure) float64  { return micros(f.First) }
func lastTenth(f Figure) float64   { return micros(f.Last) }
func startTime(f Figure) float64   { return micros(f.Start) / 1000 }
func p50(f Figure) float64         { return micros(f.P50) / 1000 }
func p99(f Figure) float64         { return micros(f.P99) / 1000 }
func allocations(f Figure) float64 { return f.Allocations }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// meter measures what its own process does between start and stop.
type meter struct {
	job    job
	figure Figure

	began                    time.Time
	client, database, broker time.Duration
	profile                  *os.File
}

func (m *meter) start() error {
	if m.job.Profile != "" {
		if err := m.startProfile(); err != nil {
			return err
		}
	}
	if err := m.serverCPU(&m.database, &m.broker); err != nil {
		return err
	}
	var err error
	if m.client, err = ownCPU(); err != nil {
		return err
	}
	m.began = time.Now()
	return nil
}

// stop ends the measurement of count messages or transactions.
func (m *meter) stop(count int) error {
	took := time.Since(m.began)
	client, err := ownCPU() // before anything else here takes some
	if err != nil {
		return err
	}
	if m.profile != nil {
		pprof.StopCPUProfile()
		if err := m.profile.Close(); err != nil {
			return err
		}
	}
	var database, broker time.Duration
	if err := m.serverCPU(&database, &broker); err != nil {
		return err
	}
	f := &m.figure
	f.Count, f.Took = count, took
	f.Client, f.Database, f.Broker = client-m.client, database-m.database, broker-m.broker
	f.Memory, err = peakMemory()
	return err
}

func (m *meter) serverCPU(database, broker *time.Duration) (err error) {
	if *database, err = treeCPU(m.job.DatabasePID); err != nil {
		return err
	}
	*broker, err = treeCPU(m.job.BrokerPID)
	return err
}

func ownCPU() (time.Duration, error) {
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(self.Utime.Nano() + self.Stime.Nano()), nil
}

func (m *meter) startProfile() (err error) {
	name := strings.NewReplacer(" ", "-", ",", "", ":", "").Replace(m.job.name())
	if m.profile, err = os.Create(filepath.Join(m.job.Profile, name+".cpu")); err != nil {
		return err
	}
	return pprof.StartCPUProfile(m.profile)
}

// String is for the progress of a run.
func (f Figure) String() string {
	return fmt.Sprintf("%d in %.2f s, %.0f/s; CPU each: client %.1f µs, database %.1f µs, broker %.1f µs; memory %.0f MiB",
		f.Count, f.Took.Seconds(), perSecond(f), clientCPU(f), databaseCPU(f), brokerCPU(f), memory(f))
}
