package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Disks are the directories that a host's functions use. The zero value has none.
type Disks struct {
	mu   sync.Mutex
	used map[identity]*disk
}

// identity tells directories apart, however they are called.
type identity struct{ dev, ino uint64 }

// disk is one directory with its count, which all volumes on it share.
type disk struct {
	dir   int // descriptor of the directory, for paths only
	id    identity
	name  string
	above []identity    // the directories that it is in
	slots chan struct{} // one for each operation that is under way

	users   int // volumes; guarded by Disks.mu
	writers int // volumes that are not read-only; guarded by Disks.mu

	counted sync.Once
	failure error // of counting

	names  sync.Mutex // held while names come, go, or are looked up to be opened
	inodes map[uint64]*inode
	links  map[uint64]int // names of files that have several

	count sync.Mutex
	bytes int64
	files int64
}

// inode is a regular file that is open.
type inode struct {
	ino     uint64
	handles int  // guarded by disk.names
	deleted bool // the last name is gone; guarded by disk.names

	write sync.Mutex // one write at a time, so that its size is known
	size  int64      // guarded by write
}

// open returns the disk of a directory, which is counted unless it is in use. Others can be opened meanwhile.
func (d *Disks) open(dir *os.File, writes bool) (*disk, error) {
	k, err := d.use(dir, writes)
	if err != nil {
		return nil, err
	}
	k.counted.Do(func() { k.failure = k.countAll() })
	if k.failure != nil {
		return nil, fmt.Errorf("counting what is in %s: %w", dir.Name(), errors.Join(k.failure, d.close(k, writes)))
	}
	return k, nil
}

// use returns the disk of a directory, which may have to be counted yet.
func (d *Disks) use(dir *os.File, writes bool) (*disk, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return nil, fmt.Errorf("looking at %s: %w", dir.Name(), err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, fmt.Errorf("%s is not a directory", dir.Name())
	}
	above, err := ancestors(int(dir.Fd()))
	if err != nil {
		return nil, fmt.Errorf("looking at what %s is in: %w", dir.Name(), err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	id := identity{st.Dev, st.Ino}
	k := d.used[id]
	if k == nil {
		k = &disk{id: id, name: dir.Name(), above: above, slots: make(chan struct{}, atOnce), inodes: map[uint64]*inode{},
			links: map[uint64]int{}}
	}
	if writes {
		if err := d.overlaps(k); err != nil {
			return nil, err
		}
	}
	if k.users == 0 {
		if k.dir, err = unix.FcntlInt(dir.Fd(), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			return nil, fmt.Errorf("keeping %s open: %w", dir.Name(), err)
		}
		if d.used == nil {
			d.used = map[identity]*disk{}
		}
		d.used[id] = k
	}
	k.users++
	if writes {
		k.writers++
	}
	return k, nil
}

// close gives a disk back.
func (d *Disks) close(k *disk, writes bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	k.users--
	if writes {
		k.writers--
	}
	if k.users > 0 {
		return nil
	}
	delete(d.used, k.id)
	return unix.Close(k.dir)
}

// countAll counts what is there, without following links or leaving the file system.
func (k *disk) countAll() error {
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d/.", k.dir))
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == "." {
			return nil
		}
		info, err := root.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("nothing is known of %s", path)
		}
		k.files++
		if info.IsDir() && uint64(st.Dev) != k.id.dev {
			return filepath.SkipDir // another file system, which functions can't reach
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		if st.Nlink > 1 {
			k.links[st.Ino]++
			if k.links[st.Ino] > 1 {
				return nil
			}
		}
		k.bytes += min(st.Size, math.MaxInt64-k.bytes) // sparse files can be of any size
		return nil
	})
}

// takeBytes books growth within a bound, and takes as many of want bytes as there is room for. 0 is no bound.
func (k *disk) takeBytes(want, bound int64) int64 {
	k.count.Lock()
	defer k.count.Unlock()
	if bound == 0 {
		bound = math.MaxInt64
	}
	got := max(min(want, bound-k.bytes), 0)
	k.bytes += got
	return got
}

func (k *disk) giveBytes(n int64) {
	k.count.Lock()
	defer k.count.Unlock()
	k.bytes = max(k.bytes-n, 0) // what goes may have come past this count, from outside or by another tag on a directory below
}

// takeFile books one more name.
func (k *disk) takeFile(bound int64) bool {
	k.count.Lock()
	defer k.count.Unlock()
	if k.files >= bound {
		return false
	}
	k.files++
	return true
}

func (k *disk) giveFile() {
	k.count.Lock()
	defer k.count.Unlock()
	k.files = max(k.files-1, 0)
}

// opened returns the inode of a file that was just opened. names is held.
func (k *disk) opened(st *unix.Stat_t) *inode {
	n := k.inodes[st.Ino]
	if n == nil {
		n = &inode{ino: st.Ino, size: st.Size}
		k.inodes[st.Ino] = n
	}
	n.handles++
	return n
}

// closeFile closes a handle's descriptor, and gives back what a deleted file had when nobody can reach it any more. Until all
// that is done no other file is opened: it could have the number that the deleted one had, and would be taken for it.
func (k *disk) closeFile(n *inode, fd int) error {
	k.names.Lock()
	n.handles--
	if n.handles > 0 {
		k.names.Unlock()
		return unix.Close(fd)
	}
	defer k.names.Unlock()
	delete(k.inodes, n.ino)
	err := unix.Close(fd)
	if n.deleted {
		k.giveBytes(n.size)
	}
	return err
}

// gone books that a name of what st describes has gone. names is held.
func (k *disk) gone(st *unix.Stat_t) {
	k.giveFile()
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	if left, several := k.links[st.Ino]; several {
		if k.links[st.Ino] = left - 1; left > 1 && st.Nlink > 1 { // others may have removed names
			return
		}
		delete(k.links, st.Ino)
	}
	if n := k.inodes[st.Ino]; n != nil {
		n.deleted = true
		return
	}
	k.giveBytes(st.Size)
}
