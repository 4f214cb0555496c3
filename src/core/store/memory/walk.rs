//! Walking over all records: shard by shard, bucket by bucket, in a bucket by key.
//!
//! A walk goes on behind the key it saw last, so it needs nothing of the store and survives its restart.
//! A few records are copied at a time; what becomes of them happens without the mutex.

use super::layout::Layout;
use super::shard::{Broken, Shard};
use super::version::Copied;
use crate::core::lock::host::Words;
use crate::core::store::{Position, StoreKey};

/// Most records copied at a time.
const RECORDS: usize = 64;
/// Bytes of them after which no further bucket is begun.
const BYTES: u64 = 256 << 10;
/// Most buckets looked at under one mutex.
const BUCKETS: u32 = 1024;

/// Where a walk is.
pub(super) struct Walk {
    /// The shard that is next; past the last one at the end.
    pub shard: u32,
    bucket: u32,
    after: Option<StoreKey>,
}

impl Walk {
    pub fn new(from: &Position, layout: &Layout) -> Walk {
        match from.key() {
            None => Walk { shard: 0, bucket: 0, after: None },
            Some(key) => Walk {
                shard: layout.shard_of(&key),
                bucket: layout.bucket_of(&key),
                after: Some(key),
            },
        }
    }

    pub fn is_over(&self, layout: &Layout) -> bool {
        self.shard >= layout.shards()
    }

    /// The next few records of the shard the walk is in; perhaps none.
    pub fn batch<M: Words>(&mut self, shard: &Shard<'_, M>) -> Result<Vec<Copied>, Broken> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        // Taken over at the end: a batch that fails is tried again.
        let (mut bucket, mut after) = (self.bucket, self.after);
        let last = self.bucket.saturating_add(BUCKETS).min(shard.layout.buckets());
        while bucket < last && batch.len() < RECORDS && bytes < BYTES {
            let start = batch.len();
            for place in shard.bucket(bucket) {
                let entry = place?.entry;
                if after.is_none_or(|after| shard.key(entry) > after) {
                    let copied = shard.copy(entry)?;
                    bytes += copied.taken();
                    batch.push(copied);
                }
            }
            batch[start..].sort_unstable_by_key(|copied: &Copied| copied.key);
            after = None;
            bucket += 1;
        }
        let over = bucket >= shard.layout.buckets();
        (self.shard, self.bucket) = if over { (self.shard + 1, 0) } else { (self.shard, bucket) };
        self.after = after.filter(|_| !over);
        Ok(batch)
    }
}
