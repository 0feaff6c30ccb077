//! Names that are looked up in the DNS: each once at a time, and few at once (T34).
//!
//! The resolver of the system takes a thread for each, for as long as it waits, whoever gave up meanwhile; files are read and evidence is
//! gathered on threads of the same kind.

use core::net::{IpAddr, SocketAddr};
use std::collections::HashMap;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;

/// Most names that are looked up at once.
const MOST: usize = 32;

type Found = Result<Arc<[IpAddr]>, (io::ErrorKind, Arc<str>)>;
type Resolve = fn(&str) -> io::Result<Vec<IpAddr>>;

/// The look-ups of a guard.
pub(crate) struct LookUps {
    running: Arc<Running>,
    places: Arc<Semaphore>,
    resolve: Resolve,
}

/// By name, each with what it comes to.
#[derive(Default)]
struct Running(Mutex<HashMap<Box<str>, watch::Receiver<Option<Found>>>>);

impl Default for LookUps {
    fn default() -> Self {
        Self::with(by_system)
    }
}

impl LookUps {
    fn with(resolve: Resolve) -> Self {
        Self {
            running: Arc::default(),
            places: Arc::new(Semaphore::new(MOST)),
            resolve,
        }
    }

    /// The addresses of a host, which is a name or an address. Of those who ask for one name at once, one asks the resolver.
    pub(crate) async fn find(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let mut told = self.begin(host);
        let found = told.wait_for(Option::is_some).await;
        let found = found.ok().and_then(|found| found.clone());
        match found {
            Some(Ok(found)) => {
                let at = |address: &IpAddr| SocketAddr::new(*address, port);
                Ok(found.iter().map(at).collect())
            }
            Some(Err((kind, why))) => Err(io::Error::new(kind, &*why)),
            None => Err(io::Error::other("the look-up was broken off")),
        }
    }

    /// The look-up of this name that runs, or one that begins. It runs on where nobody waits for it: the thread is taken all the same.
    fn begin(&self, name: &str) -> watch::Receiver<Option<Found>> {
        let mut running = self.running.lock();
        if let Some(told) = running.get(name) {
            return told.clone();
        }
        let (tell, told) = watch::channel(None);
        running.insert(name.into(), told.clone());
        drop(running);
        let (places, resolve) = (Arc::clone(&self.places), self.resolve);
        let runs = Runs(Arc::clone(&self.running), name.into());
        tokio::spawn(async move {
            let place = places.acquire_owned().await;
            let found = spawn_blocking(move || {
                let _place = place;
                let found = resolve(&runs.1);
                // Whoever asks from here on has what is known by then.
                drop(runs);
                found
            });
            let found = found.await.map_err(io::Error::from).flatten();
            let found = found.map(Arc::from);
            tell.send_replace(Some(
                found.map_err(|error| (error.kind(), error.to_string().into())),
            ));
        });
        told
    }
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, watch::Receiver<Option<Found>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look-up that runs: dropped, it is over, however it ended.
struct Runs(Arc<Running>, Box<str>);

impl Drop for Runs {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

fn by_system(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = (name, 0).to_socket_addrs()?;
    Ok(found.map(|at| at.ip()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use core::time::Duration;
    use std::sync::Condvar;

    /// How many look-ups began, and whether they may end.
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static MAY_END: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    /// A resolver that answers nothing before it may.
    fn slow(name: &str) -> io::Result<Vec<IpAddr>> {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        let (ends, told) = &MAY_END;
        let ends = ends.lock().expect("lock");
        let most = Duration::from_secs(10);
        let (_ends, _) = told
            .wait_timeout_while(ends, most, |ends| !*ends)
            .expect("wait");
        match name {
            "nobody.example" => Err(io::ErrorKind::NotFound.into()),
            _ => Ok(vec![IpAddr::from([192, 0, 2, 7])]),
        }
    }

    #[tokio::test]
    async fn t34_a_resolver_that_hangs_takes_few_threads_and_one_a_name() {
        let look_ups = Arc::new(LookUps::with(slow));
        let short = Duration::from_millis(20);
        for _ in 0..50 {
            let given_up = tokio::time::timeout(short, look_ups.find("db.example", 443)).await;
            assert!(given_up.is_err());
        }
        assert_eq!(BEGUN.load(Ordering::SeqCst), 1, "one a name");
        // What needs none is not kept from it.
        let literal = look_ups.find("192.0.2.1", 443).await.expect("an address");
        assert_eq!(literal, [SocketAddr::from(([192, 0, 2, 1], 443))]);

        let ask = |name: String| {
            let look_ups = Arc::clone(&look_ups);
            tokio::spawn(async move { look_ups.find(&name, 443).await })
        };
        let mut asked: Vec<_> = (0..2 * MOST)
            .map(|number| ask(format!("{number}.example")))
            .collect();
        tokio::time::sleep(10 * short).await;
        assert_eq!(BEGUN.load(Ordering::SeqCst), MOST, "few at once");

        let (ends, told) = &MAY_END;
        *ends.lock().expect("lock") = true;
        told.notify_all();
        asked.push(ask("db.example".to_owned()));
        for found in asked {
            let found = found.await.expect("task").expect("found");
            assert_eq!(found, [SocketAddr::from(([192, 0, 2, 7], 443))]);
        }
        let nobody = look_ups.find("nobody.example", 443).await;
        assert_eq!(nobody.expect_err("nobody").kind(), io::ErrorKind::NotFound);
        assert!(look_ups.running.lock().is_empty());
    }
}
