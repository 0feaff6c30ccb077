//! Which pods a selector means, and how a rule names them.

use serde_json::Value;

use super::cluster::{Cluster, Labels, Pod, Selector};

/// A selection of pods by their namespace and themselves: both have to be selected (rule 34).
pub(crate) struct Selection<'a> {
    cluster: &'a Cluster,
    /// In this namespace, where no selector of namespaces is given.
    home: Option<&'a str>,
    namespaces: Selector,
    pods: Selector,
}

impl<'a> Selection<'a> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        home: &'a str,
        namespaces: Option<&Value>,
        pods: &Value,
    ) -> Self {
        Self {
            cluster,
            home: namespaces.is_none().then_some(home),
            namespaces: namespaces.map(Selector::read).unwrap_or_default(),
            pods: Selector::read(pods),
        }
    }

    pub(crate) fn pods(&self) -> Vec<&'a Pod> {
        let selects = |pod: &&Pod| {
            self.home.is_none_or(|home| pod.namespace == home)
                && self.namespaces.selects(&pod.namespace_labels)
                && self.pods.selects(&pod.labels)
        };
        self.cluster.pods.iter().filter(selects).collect()
    }

    /// How a rule names them: `any`, a namespace's ids, or a label, where one of these means the same; else each by its id,
    /// since a rule cannot ask for two labels at once.
    pub(crate) fn principals(&self) -> Vec<String> {
        if self.pods().is_empty() {
            return Vec::new();
        }
        match (self.home, self.namespaces.is_empty(), self.pods.is_empty()) {
            (Some(home), _, true) => vec![format!("spiffe://cluster.local/ns/{home}/**")],
            (None, true, true) => vec!["any".to_owned()],
            (None, false, true) => {
                self.labelled("ns", &self.namespaces, |pod| &pod.namespace_labels)
            }
            (None, true, false) => self.labelled("pod", &self.pods, |pod| &pod.labels),
            _ => ids(self.pods()),
        }
    }

    fn labelled(
        &self,
        kind: &str,
        selector: &Selector,
        of: impl Fn(&Pod) -> &Labels,
    ) -> Vec<String> {
        let Some(one) = selector.one_label() else {
            return ids(self.pods());
        };
        // A value that no workload states would be refused as a slip of the pen.
        let stated = |value: &&String| {
            let mut pods = self.cluster.pods.iter();
            pods.any(|pod| of(pod).get(&one.key) == Some(*value))
        };
        let values = one.values.iter().filter(stated);
        values
            .map(|value| format!("label:{kind}.{}={value}", one.key))
            .collect()
    }
}

pub(crate) fn ids<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Vec<String> {
    pods.into_iter().map(Pod::spiffe_id).collect()
}
