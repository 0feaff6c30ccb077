// The page names the digest of another text.
document.getElementById("changed").textContent = "run";
