const data = JSON.parse(document.getElementById("data").textContent);
if (data.page === "map") showMap(data);
else showDiff(data);
