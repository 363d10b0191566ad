// An allocator that packs large CPU tensors into one address range, each in the lowest hole where it fits.
//
// For an aligned block, glibc needs a hole that is larger than the block by at least the alignment. It also soon gives
// small pieces of a freed block to other requests. Holes of exactly the requested size are therefore not reused, and a
// step needs twice the memory of its tensors. Here, a freed block is merged with the adjacent holes, and the next block
// of the same size reuses it.

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <unordered_map>

namespace {
constexpr size_t LEAST = 64 << 10, ALIGNMENT = 64, STEP = 32 << 20, HUGE_PAGE = 2 << 20;

class Pool final : public c10::Allocator {
 public:
  std::atomic<bool> wanted = false;

  // Reserves addresses only; memory is requested from the system when blocks reach further.
  bool reserve() {
    size_ = size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGE_SIZE)) * 2;
    void* found = mmap(nullptr, size_ + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED) return false;
    start_ = (char*)((size_t(found) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
    madvise(start_, size_, MADV_HUGEPAGE);  // without huge pages in the kernel, pages are small
    holes_[0] = size_;
    return true;
  }

  c10::DataPtr allocate(size_t bytes) override {
    void* block = wanted && bytes >= LEAST ? take(bytes) : nullptr;
    if (!block) block = c10::alloc_cpu(bytes);
    return {block, block, &give_back, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }

  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

  static void give_back(void* block);

  // Returns null if no hole is large enough.
  void* take(size_t bytes) {
    // One extra cache line, so that parallel streams over tensors of equal size do not collide in the same cache sets.
    const size_t size = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT + ALIGNMENT;
    std::lock_guard<std::mutex> held(lock);
    auto hole = std::find_if(holes_.begin(), holes_.end(), [&](const auto& one) { return one.second >= size; });
    if (hole == holes_.end() || !reach(hole->first + size)) return nullptr;
    const auto [at, length] = *hole;
    holes_.erase(hole);
    if (length > size) holes_[at + size] = length - size;
    blocks_[at] = size;
    return start_ + at;
  }

  std::mutex lock;

 private:

  bool reach(size_t end) {
    if (end <= reached_) return true;
    end = std::min((end + STEP - 1) / STEP * STEP, size_);
    if (mprotect(start_ + reached_, end - reached_, PROT_READ | PROT_WRITE)) return false;
    reached_ = end;
    return true;
  }

  void release(size_t at) {
    std::lock_guard<std::mutex> held(lock);
    const auto block = blocks_.find(at);
    size_t size = block->second;
    blocks_.erase(block);
    auto next = holes_.lower_bound(at);
    if (next != holes_.end() && next->first == at + size) {
      size += next->second;
      next = holes_.erase(next);
    }
    if (next != holes_.begin()) {
      auto before = std::prev(next);
      if (before->first + before->second == at) {
        before->second += size;
        return;
      }
    }
    holes_[at] = size;
  }

  char* start_ = nullptr;
  size_t size_ = 0, reached_ = 0;
  std::map<size_t, size_t> holes_;             // start -> bytes, by address
  std::unordered_map<size_t, size_t> blocks_;  // start -> bytes
};

// Never destroyed: tensors may outlive everything else.
Pool* pool = nullptr;

void Pool::give_back(void* block) {
  const char* at = (const char*)block;
  if (at >= pool->start_ && at < pool->start_ + pool->size_)
    pool->release(at - pool->start_);
  else
    c10::free_cpu(block);
}
}  // namespace

// A block for other uses, such as a convolution's workspace; winograd.cpp finds it by name if this is loaded first.
extern "C" void* pggan_take(size_t bytes) {
  void* block = pool && pool->wanted && bytes >= LEAST ? pool->take(bytes) : nullptr;
  return block ? block : c10::alloc_cpu(bytes);
}

extern "C" void pggan_give(void* block) {
  if (pool)
    Pool::give_back(block);
  else
    c10::free_cpu(block);
}

// Sets whether new tensors are allocated in the pool; returns false if there is no pool.
extern "C" bool use_pool(bool wanted) {
  if (!pool) {
    auto* made = new Pool;
    if (!made->reserve()) {
      delete made;
      return false;
    }
    pool = made;
    // A process that forks while another thread holds the lock would leave it locked in the child.
    pthread_atfork([] { pool->lock.lock(); }, [] { pool->lock.unlock(); }, [] { pool->lock.unlock(); });
    c10::SetCPUAllocator(pool);
  }
  pool->wanted = wanted;
  return true;
}
