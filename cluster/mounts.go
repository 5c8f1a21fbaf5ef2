package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is a line of /proc/self/mountinfo: see proc_pid_mountinfo(5).
type mount struct{ point, kind string }

func readMounts() ([]mount, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	return parseMounts(string(data)), nil
}

func parseMounts(data string) []mount {
	var all []mount
	scan := bufio.NewScanner(strings.NewReader(data))
	for scan.Scan() {
		before, after, ok := strings.Cut(scan.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if ok && len(left) >= 5 && len(right) >= 1 {
			all = append(all, mount{point: unescape(left[4]), kind: right[0]})
		}
	}
	return all
}

// unescape undoes the octal escapes of spaces and the like in mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// below returns the mount points in root, the last mounted first.
func below(mounts []mount, root string) []string {
	var points []string
	for _, m := range mounts {
		if strings.HasPrefix(m.point, root+"/") {
			points = append(points, m.point)
		}
	}
	slices.Reverse(points)
	return points
}

// unmount removes the mounts in the cluster's directory, those that are in use lazily.
func unmount(d dir) error {
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	var errs []error
	for _, point := range below(mounts, d.root) {
		err := unix.Unmount(point, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EBUSY) {
			err = unix.Unmount(point, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
		}
		if err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: it went away with the one before
			errs = append(errs, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}
